import { describe, expect, it } from '@jest/globals';
import { judge, type Findings } from './outcome.js';
import { describePhases, samplesOf, type Phase, type Sample } from './phases.js';

const phase = (kind: Phase['kind'], from: number): Phase => ({
  kind,
  from,
  until: from + 1_000,
  processorSeconds: 0.5,
  waitedSeconds: 0,
});
const PHASES = [phase('alone', 0), phase('attacked', 1_000), phase('alone', 3_000)];
const samples = (from: number, tookMs: number): Sample[] =>
  Array.from({ length: 100 }, (_, index) => [from + index, tookMs, 1]);
const findings = (attackedMs: number, more: Partial<Findings> = {}): Findings => ({
  phases: PHASES,
  honest: {
    samples: [...samples(0, 10), ...samples(1_000, attackedMs), ...samples(3_000, 10)],
    reconnects: [],
    lags: [],
    troubles: [],
  },
  counts: { 'HTTP: 429': 5 },
  reached: { heartbeats: 1 },
  recoveryMs: 0,
  memory: { before: 0, peak: 0, after: 0 },
  processors: undefined,
  crashes: [],
  ...more,
});
const broken = (all: Findings): string[] =>
  judge(all).verdicts.flatMap(({ held, evidence }) => (held ? [] : evidence));

describe('what was measured', () => {
  it('belongs to the phase in which it should have gone out; what is between two belongs to none', () => {
    const all = [...samples(900, 1), ...samples(2_500, 5)];
    expect(samplesOf(all, PHASES)).toHaveLength(100);
    expect(describePhases(samples(1_000, 7), PHASES)).toBe('A 0.0, B 7.0, A 0.0');
  });

  it('holds up to twice the latency alone, and no further', () => {
    expect(broken(findings(20))).toEqual([]);
    expect(broken(findings(21))).toEqual(['it is 2.10 times']);
  });

  it('breaks a promise by an answer that blames the controller, by its end, its growth, and if nothing was refused', () => {
    const { honest } = findings(10);
    expect(
      broken(
        findings(10, {
          counts: { 'HTTP: 500': 1, 'gRPC: gRPC 13': 2, 'HTTP: 404': 1 },
          crashes: ['SIGSEGV'],
          memory: { before: 0, peak: 300 * 2 ** 20, after: 0 },
          reached: {},
          honest: { ...honest, troubles: ['a command was answered 429'] },
        }),
      ),
    ).toEqual([
      'a command was answered 429',
      'HTTP: 500',
      'gRPC: gRPC 13',
      'SIGSEGV',
      'no limit was reached',
      'by 300 MiB',
    ]);
  });
});
