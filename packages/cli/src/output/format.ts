/** `-o table|wide|json|yaml|name`: one result, five forms. */
import { renderTable, type Column } from './table.js';
import type { Output } from './output.js';
import { safe } from './text.js';

export const FORMATS = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type Format = (typeof FORMATS)[number];

export interface Listing<Row> {
  readonly rows: readonly Row[];
  /** What `json` and `yaml` show: the shape of the API. */
  readonly value: unknown;
  readonly columns: readonly Column<Row>[];
  /** Columns that only `wide` shows, after the others. */
  readonly wideColumns: readonly Column<Row>[];
  readonly nameOf: (row: Row) => string;
}

export interface FormatOptions {
  readonly output: Format;
  /** False for `--no-headers`. */
  readonly headers: boolean;
}

export async function printListing<Row>(
  stdout: Output,
  listing: Listing<Row>,
  options: FormatOptions,
): Promise<void> {
  const { rows, columns, wideColumns } = listing;
  switch (options.output) {
    case 'table':
      if (rows.length > 0) stdout.write(renderTable(columns, rows, options.headers));
      return;
    case 'wide':
      if (rows.length > 0) stdout.write(renderTable([...columns, ...wideColumns], rows, options.headers));
      return;
    case 'json':
      stdout.write(`${toJson(listing.value, 2)}\n`);
      return;
    case 'yaml':
      stdout.write(await toYaml(listing.value));
      return;
    case 'name':
      stdout.write(rows.map((row) => `${listing.nameOf(row)}\n`).join(''));
      return;
  }
}

export const PAGE_FORMATS = ['text', 'json', 'yaml'] as const;
export type PageFormat = (typeof PAGE_FORMATS)[number];

/** Everything about one thing: for a person, and as data in the shape of the API. */
export interface Page {
  readonly text: string;
  readonly value: object;
}

/** `-o text|json|yaml`. As data one page is an object; several are a list with the name `listName`. */
export async function printPages(
  stdout: Output,
  pages: readonly Page[],
  { output, listName }: { readonly output: PageFormat; readonly listName: string },
): Promise<void> {
  if (output === 'text') {
    stdout.write(pages.map(({ text }) => text).join('\n'));
    return;
  }
  const values = pages.map(({ value }) => value);
  const value = values.length === 1 ? values[0] : { [listName]: values };
  stdout.write(output === 'json' ? `${toJson(value, 2)}\n` : await toYaml(value));
}

/** Above it, a summary stands for the lines of what went well. */
const MAX_LINES = 20;

/** What became of many: a line for each or, of very many, the summary; the other forms as `printListing`. */
export async function printResults<Row>(
  stdout: Output,
  listing: Listing<Row>,
  options: {
    readonly output: Format;
    readonly lineOf: (row: Row) => string;
    readonly summary: () => string;
  },
): Promise<void> {
  const { output, lineOf, summary } = options;
  if (output !== 'table') await printListing(stdout, listing, { output, headers: true });
  else if (listing.rows.length > MAX_LINES) stdout.write(`${summary()}\n`);
  else stdout.write(listing.rows.map((row) => `${safe(lineOf(row))}\n`).join(''));
}

/** Characters that a terminal may obey and that JSON lets stand as they are. */
const UNESCAPED = /[\u007f-\u009f\u2028\u2029\p{Cf}]/gu;

/**
 * JSON in which every control character is escaped: as data it is what the controller said, to the last character, and
 * it is harmless on a terminal.
 */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(UNESCAPED, escapeUnits);
}

/** YAML under the same promise as `toJson`. Loaded on first use: it costs 30 ms. */
async function toYaml(value: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  if (JSON.stringify(value).search(UNESCAPED) === -1) return stringify(value, { lineWidth: 0 });
  const quoted = stringify(value, {
    lineWidth: 0,
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'QUOTE_DOUBLE',
  });
  return quoted.replace(UNESCAPED, escapeUnits);
}

const escapeUnits = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('');
