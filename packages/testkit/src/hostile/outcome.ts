/** What a part has found, as figures, and whether the promises held. */
import { verdict, type Figure, type PartResult } from '../reliability/part.js';
import type { Honest } from './honest-host.js';
import { describePhases, latencyOf, samplesOf, type Latency, type Phase } from './phases.js';
import type { Processors } from './processors.js';

/** Other VMs' p99 under attack may be so many times their p99 alone. */
const MAX_RATIO = 2;
/** What a controller of this size may grow by, whatever comes. */
const MAX_GROWTH_BYTES = 256 * 2 ** 20;
/** Answers that blame the controller: 5xx; UNKNOWN, INTERNAL, DATA_LOSS. */
const BLAMES = /: 5\d\d$|: gRPC (2|13|15)$/;

export interface Findings {
  readonly phases: readonly Phase[];
  readonly honest: Pick<Honest, 'samples' | 'reconnects' | 'lags' | 'troubles'>;
  /** What the attackers counted. */
  readonly counts: Readonly<Record<string, number>>;
  /** How often each limit of the controller was reached. */
  readonly reached: Readonly<Record<string, number>>;
  readonly recoveryMs: number;
  /** Bytes of the controller. */
  readonly memory: { readonly before: number; readonly peak: number; readonly after: number };
  /** Undefined = shared by all. */
  readonly processors: Processors | undefined;
  /** Ends of the controller that nobody asked for. */
  readonly crashes: readonly string[];
}

export function judge(findings: Findings): PartResult {
  const { phases, honest, counts, reached, memory, processors, crashes } = findings;
  const alone = phases.filter(({ kind }) => kind === 'alone');
  const attacked = phases.filter(({ kind }) => kind === 'attacked');
  const both = (name: string, of: (all: readonly Phase[]) => string, unit?: string): Figure => ({
    name: `${name}, alone -> attacked`,
    value: `${of(alone)} -> ${of(attacked)}`,
    ...(unit === undefined ? {} : { unit }),
  });
  const latencies = { alone: latencyAt(honest, alone), attacked: latencyAt(honest, attacked) };
  const latency = (name: string, of: (latency: Latency) => number): Figure =>
    both(name, (all) => of(all === alone ? latencies.alone : latencies.attacked).toFixed(1), 'ms');
  const ratio = latencies.attacked.p99Ms / latencies.alone.p99Ms;
  const growth = memory.peak - memory.before;
  return {
    figures: [
      both('commands to the others', (all) => String(samplesOf(honest.samples, all).length)),
      latency('until recorded, p50', ({ p50Ms }) => p50Ms),
      latency('until recorded, p99', ({ p99Ms }) => p99Ms),
      latency('until recorded, max', ({ maxMs }) => maxMs),
      {
        name: 'p99 of each phase, A alone, B attacked',
        value: describePhases(honest.samples, phases),
        unit: 'ms',
      },
      { name: 'p99 attacked / p99 alone', value: ratio.toFixed(2) },
      both(
        'reconnect of another VM, max',
        (all) => most(honest.reconnects, all, ({ tookMs }) => tookMs),
        'ms',
      ),
      both(
        'the measuring process itself was late, max',
        (all) => most(honest.lags, all, ({ lagMs }) => lagMs),
        'ms',
      ),
      both('processor of the controller', (all) => share(all, 'processorSeconds')),
      both('it waited for its processor', (all) => share(all, 'waitedSeconds')),
      {
        name: 'until nobody waited any more after an attack, max',
        value: (findings.recoveryMs / 1_000).toFixed(1),
        unit: 's',
      },
      {
        name: 'memory of the controller, before -> peak -> after',
        value: [memory.before, memory.peak, memory.after].map(mebibytes).join(' -> '),
        unit: 'MiB',
      },
      ...Object.entries(counts).map(([what, value]) => ({ name: `attacker: ${what}`, value })),
      ...Object.entries(reached).map(([limit, value]) => ({ name: `limit reached: ${limit}`, value })),
      {
        name: 'processors',
        value:
          processors === undefined
            ? 'shared by all'
            : `controller ${processors.controller}, load ${processors.load}`,
      },
    ],
    verdicts: [
      verdict(
        `other VMs' p99 is at most ${MAX_RATIO} times what it is alone`,
        ratio <= MAX_RATIO ? [] : [`it is ${ratio.toFixed(2)} times`],
      ),
      verdict('every command to the others was recorded, and no stream of theirs was cut', honest.troubles),
      verdict('the controller answered nothing with 5xx, and did not end', [
        ...Object.keys(counts).filter((what) => BLAMES.test(what)),
        ...crashes,
      ]),
      verdict('who did too much was refused, and that was counted', refusals(reached)),
      verdict(
        `its memory grew by ${MAX_GROWTH_BYTES / 2 ** 20} MiB at most`,
        growth <= MAX_GROWTH_BYTES ? [] : [`by ${mebibytes(growth)} MiB`],
      ),
    ],
  };
}

const latencyAt = ({ samples }: Findings['honest'], phases: readonly Phase[]): Latency =>
  latencyOf(samplesOf(samples, phases));

const refusals = (reached: Findings['reached']): string[] =>
  Object.keys(reached).length > 0 ? [] : ['no limit was reached'];

/** The largest of what was noted in these phases. */
function most<T extends { readonly at: number }>(
  notes: readonly T[],
  phases: readonly Phase[],
  of: (note: T) => number,
): string {
  const within = notes.filter(({ at }) => phases.some(({ from, until }) => at >= from && at < until));
  return within.reduce((largest, note) => Math.max(largest, of(note)), 0).toFixed(0);
}

function share(phases: readonly Phase[], of: 'processorSeconds' | 'waitedSeconds'): string {
  const seconds = phases.reduce((sum, { from, until }) => sum + (until - from) / 1_000, 0);
  return `${((100 * phases.reduce((sum, phase) => sum + phase[of], 0)) / seconds).toFixed(0)}%`;
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
