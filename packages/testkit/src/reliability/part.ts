/** What a part of the measurement is, and what it says in the end. */
import type { Ground } from './ground.js';
import type { ReliabilityOptions } from './options.js';

/** Something that was counted or timed. */
export interface Figure {
  readonly name: string;
  readonly value: number | string;
  /** `s`, `/s`, …; missing = a count, or words. */
  readonly unit?: string;
}

/** Something that the project promises, and whether it held. */
export interface Verdict {
  readonly promise: string;
  readonly held: boolean;
  /** What broke it, each with its names; the first few. */
  readonly evidence: readonly string[];
}

export interface PartResult {
  readonly figures: readonly Figure[];
  readonly verdicts: readonly Verdict[];
}

export interface Part<Options = ReliabilityOptions> {
  readonly name: string;
  readonly title: string;
  /** It is ended, and has failed, when it takes longer; milliseconds. */
  readonly boundMs: (options: Options) => number;
  readonly run: (ground: Ground, options: Options) => Promise<PartResult>;
}

/** Most faults that are shown of one kind. */
const MAX_EVIDENCE = 5;

/** Held if there is no fault. */
export const verdict = (promise: string, faults: readonly string[]): Verdict => ({
  promise,
  held: faults.length === 0,
  evidence:
    faults.length <= MAX_EVIDENCE
      ? faults
      : [...faults.slice(0, MAX_EVIDENCE), `… and ${faults.length - MAX_EVIDENCE} more`],
});
