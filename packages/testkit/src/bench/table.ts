/** The results for a person at a terminal. */
import { FIGURES, FIGURE_KEYS, type FigureSpec } from './figures.js';
import { SERVERS, SERVER_SPECS, YARDSTICK } from './servers.js';
import type { Summary } from './results.js';

/** A server that had less of its core was not what limited the figure. */
const BUSY_ENOUGH = 0.85;

/** One table for each size of the fleet: a row for each figure, a column for each server. */
export function toTable(summaries: readonly Summary[]): string {
  const sizes = [...new Set(summaries.map(({ vms }) => vms))].sort((a, b) => a - b);
  const tables = sizes.map((vms) =>
    tableOf(
      vms,
      summaries.filter((each) => each.vms === vms),
    ),
  );
  const idle = summaries.some(isIdle);
  const note = `~ the server had less than ${BUSY_ENOUGH * 100} % of its core in one of the runs: the load, or something else on this machine, held it up\n`;
  return `${tables.join('\n')}${idle ? `\n${note}` : ''}`;
}

function tableOf(vms: number, summaries: readonly Summary[]): string {
  const servers = SERVERS.filter((server) => summaries.some((each) => each.server === server));
  const keys = FIGURE_KEYS.filter((key) => summaries.some(({ figure }) => figure === key));
  const rows = [
    [`${vms.toLocaleString('en-US')} VMs`, ...servers.map((server) => SERVER_SPECS[server].title)],
    ...keys.map((key) => {
      const spec: FigureSpec = FIGURES[key];
      const cells = servers.map((server) => {
        const found = summaries.find((each) => each.server === server && each.figure === key);
        return found === undefined ? '-' : cellOf(found);
      });
      return [`${spec.title} (${spec.unit})`, ...cells];
    }),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) =>
    row
      .map((text, column) =>
        column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0),
      )
      .join('  '),
  );
  const rule = '-'.repeat(lines[0]?.length ?? 0);
  return [lines[0], rule, ...lines.slice(1), ''].join('\n');
}

/** Median, least and most, ratio: `71,500 (70,100-73,000) 1.24x`. */
function cellOf(summary: Summary): string {
  const { median, min, max, ratio, server } = summary;
  const range = min === max ? '' : ` (${toDigits(min)}-${toDigits(max)})`;
  const times = ratio === undefined || server === YARDSTICK ? '' : ` ${ratio.toFixed(2)}x`;
  return `${isIdle(summary) ? '~' : ''}${toDigits(median)}${range}${times}`;
}

const isIdle = ({ busy }: Summary): boolean => busy !== undefined && busy < BUSY_ENOUGH;

/** Three digits that mean something; thousands are set apart. */
export function toDigits(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
