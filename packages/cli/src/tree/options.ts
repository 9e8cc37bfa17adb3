/** The options that several commands share, and how their texts are read. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { MAX_DEADLINE_MS } from '@mig/common/domain/command-types';
import { isValidId } from '@mig/common/domain/ids';
import { parseDuration } from '@mig/common/config/duration';
import { FORMATS, PAGE_FORMATS, type Format, type PageFormat } from '../output/format.js';
import type { Session } from '../session.js';

/** Runs a command with a session, and keeps its exit code: an `ExitCode`, or that of a command on a VM. Given to every part of the tree. */
export type Act = (command: Command, run: (session: Session) => Promise<number>) => Promise<void>;

/** A duration flag: `500ms`, `30s`, `5m`, `1h30m`, `7d`, or 0; to milliseconds, at most 30 days. */
export function durationArgument(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === undefined)
    throw new InvalidArgumentError('Write a duration such as 500ms, 30s, 5m or 1h30m.');
  if (durationMs > MAX_DEADLINE_MS) throw new InvalidArgumentError('At most 30d.');
  return durationMs;
}

/** A duration flag that cannot be 0. */
export function positiveDurationArgument(text: string): number {
  const durationMs = durationArgument(text);
  if (durationMs === 0) throw new InvalidArgumentError('Must be more than 0.');
  return durationMs;
}

/** A whole number from `min` to 10,000, the most that the API gives at once. */
export const countArgument =
  (min: number) =>
  (text: string): number => {
    const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
    if (!(number >= min && number <= 10_000))
      throw new InvalidArgumentError(`Give a whole number from ${min} to 10000.`);
    return number;
  };

export function idArgument(text: string): string {
  if (!isValidId(text)) {
    throw new InvalidArgumentError('Use 1 to 63 of a-z A-Z 0-9 . _ - and begin with a letter or a digit.');
  }
  return text;
}

/** As the API takes it. */
const MAX_REASON_LENGTH = 1_000;

/** Why something is done, in the words of whoever does it. */
export function reasonArgument(text: string): string {
  if (text.length <= MAX_REASON_LENGTH) return text;
  throw new InvalidArgumentError(`At most ${MAX_REASON_LENGTH} characters; these are ${text.length}.`);
}

/** `--labels a,b`: at least one, none of them empty. */
export function labelsArgument(text: string): string[] {
  const labels = text.split(',').map((label) => label.trim());
  if (labels.includes(''))
    throw new InvalidArgumentError('Give labels, comma-separated, none of them empty.');
  return labels;
}

export const poolOption = (help: string): Option => new Option('--pool <pool>', help).argParser(idArgument);

export const formatOption = (formats: readonly string[] = FORMATS): Option =>
  new Option('-o, --output <format>', 'form of what is printed').choices(formats).default('table');

/** For `describe`. */
export const pageFormatOption = (): Option =>
  new Option('-o, --output <format>', 'form of what is printed').choices(PAGE_FORMATS).default('text');

export interface PageOptions {
  readonly output: PageFormat;
}

export const noHeadersOption = (): Option => new Option('--no-headers', 'leave out the titles of a table');

export interface ListOptions {
  readonly output: Format;
  readonly headers: boolean;
}

/** `Examples:` at the end of a command's help, one line each. */
export function withExamples(command: Command, examples: readonly string[]): Command {
  return command.addHelpText(
    'after',
    `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`,
  );
}
