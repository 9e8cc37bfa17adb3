/** What was measured, phase by phase: alone, under attack, alone, … */
import { percentile } from '../reliability/statistics.js';

export interface Phase {
  readonly kind: 'alone' | 'attacked';
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly until: number;
  /** Of the controller, in the phase. */
  readonly processorSeconds: number;
  /** In which it had to wait for its processor. */
  readonly waitedSeconds: number;
}

/** A command: when it should have gone out, and how long until it was recorded. */
export type Sample = readonly [at: number, tookMs: number, acceptedMs: number];

export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export const samplesOf = (samples: readonly Sample[], phases: readonly Phase[]): Sample[] =>
  samples.filter(([at]) => phases.some(({ from, until }) => at >= from && at < until));

export function latencyOf(samples: readonly Sample[]): Latency {
  const took = samples.map(([, tookMs]) => tookMs);
  return {
    count: took.length,
    p50Ms: percentile(took, 0.5),
    p99Ms: percentile(took, 0.99),
    maxMs: percentile(took, 1),
  };
}

/** `alone 9.8 / 11.2 ms, attacked …`: p99 of each phase in turn, so that noise of the machine is seen. */
export const describePhases = (samples: readonly Sample[], phases: readonly Phase[]): string =>
  phases
    .map(
      (phase) =>
        `${phase.kind === 'alone' ? 'A' : 'B'} ${latencyOf(samplesOf(samples, [phase])).p99Ms.toFixed(1)}`,
    )
    .join(', ');
