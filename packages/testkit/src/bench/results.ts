/** What all runs together say: of each figure the median, the least and the most, and its ratio to the yardstick's. */
import { FIGURE_KEYS, type FigureKey, type PartName } from './figures.js';
import type { Cell } from './cell.js';
import { YARDSTICK, type ServerName } from './servers.js';

/** One server with one fleet in one run. */
export interface Measured extends Cell {
  readonly server: ServerName;
  readonly vms: number;
  /** From 1. */
  readonly run: number;
}

export interface Summary {
  readonly server: ServerName;
  readonly vms: number;
  readonly figure: FigureKey;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** The median of the ratios, each to the yardstick in the same run; undefined without a yardstick that has the figure. */
  readonly ratio: number | undefined;
  /** The least share of its core that the server had, where it should have had all of it; otherwise undefined. */
  readonly busy: number | undefined;
}

/** The middle one; of an even number of values, between the two in the middle. 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = 0, high = 0] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]];
  return (low + high) / 2;
}

export function summarize(measured: readonly Measured[], partOf: (figure: FigureKey) => PartName): Summary[] {
  const groups = new Map<string, Measured[]>();
  for (const each of measured) {
    const key = `${each.vms} ${each.server}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  const yardsticks = new Map(
    measured
      .filter(({ server }) => server === YARDSTICK)
      .map((each) => [`${each.vms} ${each.run}`, each.figures]),
  );
  return [...groups.values()].flatMap((group) =>
    FIGURE_KEYS.flatMap((figure): Summary[] => {
      const [first] = group;
      const values = group.flatMap(({ figures }) => figures[figure] ?? []);
      if (first === undefined || values.length === 0) return [];
      const ratios = group.flatMap(({ vms, run, figures }) => {
        const base = yardsticks.get(`${vms} ${run}`)?.[figure];
        const own = figures[figure];
        return base === undefined || base === 0 || own === undefined ? [] : own / base;
      });
      const busy = group.flatMap((each) => each.busy[partOf(figure)] ?? []);
      return [
        {
          server: first.server,
          vms: first.vms,
          figure,
          median: median(values),
          min: Math.min(...values),
          max: Math.max(...values),
          ratio: ratios.length === 0 ? undefined : median(ratios),
          busy: busy.length === 0 ? undefined : Math.min(...busy),
        },
      ];
    }),
  );
}
