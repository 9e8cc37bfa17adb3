/** Requests that GitHub's description rejects. A client that makes one has a defect, however it is answered. */
import type { RouteName } from './exchange.js';

/** Violations that are remembered, the first ones; all of them are counted. */
const MAX_VIOLATIONS = 1_000;

export interface Violation {
  readonly at: number;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly route: RouteName | 'unknown';
  /** Of GitHub's description; undefined if it has no such path. */
  readonly operation: string | undefined;
  /** What is wrong, in GitHub's words. */
  readonly faults: readonly string[];
}

export interface ViolationBook {
  add(violation: Violation): void;
  /** Copies, oldest first. */
  list(): Violation[];
  count(): number;
}

/** @param report told of every one, at once */
export function createViolationBook(report: (violation: Violation) => void): ViolationBook {
  const violations: Violation[] = [];
  let count = 0;
  return {
    add(violation) {
      count += 1;
      if (violations.length < MAX_VIOLATIONS) violations.push(violation);
      report(violation);
    },
    list: () => [...violations],
    count: () => count,
  };
}

/** One line for people. */
export const describeViolation = (violation: Violation): string =>
  `${violation.method} ${violation.path} is not what GitHub describes` +
  ` (${violation.operation ?? 'no such operation'}): ${violation.faults.join(' ')}`;
