/**
 * Which processes a demo has started, in a file of its data directory: so that the next one can end what a demo that was
 * killed (`kill -9`) left running, and leave alone what another one that still runs has started.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { identify, isAlive, type ProcessIdentity } from '@mig/common/process-identity';

export interface Ledger {
  /** Ends what the dead demo before this one left running. @returns how many processes */
  endLeftovers(): number;
  record(pid: number): void;
  /** Everything has ended. */
  clear(): void;
}

interface Content {
  readonly demo: ProcessIdentity;
  readonly children: readonly ProcessIdentity[];
}

export function createLedger(file: string): Ledger {
  const before = read(file);
  const demoRuns = before !== undefined && isAlive(before.demo);
  let children: readonly ProcessIdentity[] = [];
  return {
    endLeftovers() {
      if (before === undefined || demoRuns) return 0;
      const left = before.children.filter(isAlive);
      // At once: nobody is there to wait for them, and what they promised to keep is on disk.
      for (const { pid } of left) process.kill(pid, 'SIGKILL');
      return left.length;
    },
    record(pid) {
      if (demoRuns) return;
      children = [...children.filter(isAlive), identify(pid)];
      writeFileSync(file, JSON.stringify({ demo: identify(process.pid), children } satisfies Content), {
        mode: 0o600,
      });
    },
    clear() {
      if (!demoRuns) rmSync(file, { force: true });
    },
  };
}

function read(file: string): Content | undefined {
  try {
    const content = JSON.parse(readFileSync(file, 'utf8')) as Partial<Content>;
    return content.demo === undefined || !Array.isArray(content.children) ? undefined : (content as Content);
  } catch {
    return undefined;
  }
}
