/** What the controller is meant to reach, and whether it does in these results: by ratios and budgets, each at a fleet's size. */
import type { FigureKey } from './figures.js';
import { YARDSTICK, type ServerName } from './servers.js';
import { toDigits } from './table.js';
import type { Summary } from './results.js';

interface Goal {
  readonly title: string;
  readonly vms: number;
  readonly figure: FigureKey;
  /** `ratio` to the yardstick; `value` in the figure's unit. */
  readonly by: 'ratio' | 'value';
  readonly atMost?: number;
  readonly atLeast?: number;
}

const GOALS: readonly Goal[] = [
  {
    title: 'heartbeats on one core, x bare nice-grpc',
    vms: 5_000,
    figure: 'heartbeats',
    by: 'ratio',
    atLeast: 1.5,
  },
  { title: 'RSS per connected VM, KB', vms: 5_000, figure: 'rssIdle', by: 'value', atMost: 45 },
  { title: 'connect 5,000 VMs, x bare nice-grpc', vms: 5_000, figure: 'connect', by: 'ratio', atMost: 2 },
  {
    title: 'command round trip under load, p50, ms (and one fsync)',
    vms: 1_000,
    figure: 'commandLoadP50',
    by: 'value',
    atMost: 2,
  },
  {
    title: 'command round trip under load, p99, ms',
    vms: 1_000,
    figure: 'commandLoadP99',
    by: 'value',
    atMost: 15,
  },
  { title: 'one drain to 5,000 VMs, x bare nice-grpc', vms: 5_000, figure: 'drain', by: 'ratio', atMost: 2 },
  {
    title: '10,000 VMs beating, CPU, % of one core',
    vms: 10_000,
    figure: 'steadyCpu',
    by: 'value',
    atMost: 25,
  },
  { title: '10,000 VMs beating, RSS, MB', vms: 10_000, figure: 'steadyRss', by: 'value', atMost: 700 },
  {
    title: '10,000 VMs beating, event loop delay p99, ms',
    vms: 10_000,
    figure: 'steadyDelayP99',
    by: 'value',
    atMost: 20,
  },
];

/** Figures whose cost per VM is to stay as it is from the smallest fleet to the largest. */
const FLAT: readonly FigureKey[] = ['connect', 'rssIdle', 'heapIdle', 'cpuPerBeat', 'drain'];
const FLAT_WITHIN = 0.15;
/** Figures of the whole fleet: divided by its size. */
const OF_ALL: readonly FigureKey[] = ['connect', 'drain'];

const CONTROLLER: ServerName = 'controller';

/** A line for each goal that these results say something about. */
export function toGoals(summaries: readonly Summary[], fsyncMs: number | undefined): string[] {
  const own = summaries.filter(({ server }) => server === CONTROLLER);
  return [...reached(own, fsyncMs), ...growth(own)];
}

function reached(own: readonly Summary[], fsyncMs: number | undefined): string[] {
  return GOALS.flatMap((goal) => {
    const found = own.find(({ vms, figure }) => vms === goal.vms && figure === goal.figure);
    const value = goal.by === 'ratio' ? found?.ratio : found?.median;
    if (value === undefined) return [];
    const extra = goal.figure === 'commandLoadP50' ? (fsyncMs ?? 0) : 0;
    const [low, high] = [goal.atLeast ?? -Infinity, (goal.atMost ?? Infinity) + extra];
    const bound = goal.atLeast === undefined ? `at most ${toDigits(high)}` : `at least ${toDigits(low)}`;
    return `${value >= low && value <= high ? 'reached    ' : 'not reached'}  ${goal.title}: ${toDigits(value)}, ${bound}`;
  });
}

function growth(own: readonly Summary[]): string[] {
  return FLAT.flatMap((figure) => {
    const all = own.filter((each) => each.figure === figure).sort((a, b) => a.vms - b.vms);
    const [first, last] = [all[0], all.at(-1)];
    if (first === undefined || last === undefined || last.vms < 10 * first.vms) return [];
    const perVm = ({ median, vms }: Summary): number => (OF_ALL.includes(figure) ? median / vms : median);
    const times = perVm(last) / perVm(first);
    const held = times <= 1 + FLAT_WITHIN;
    return `${held ? 'reached    ' : 'not reached'}  ${figure} per VM, ${last.vms} VMs against ${first.vms}: ${toDigits(times)}, at most ${1 + FLAT_WITHIN}`;
  });
}

/** What the ratios are to, for a person. */
export const RATIOS_TO = `ratios are to ${YARDSTICK}, each in the same run`;
