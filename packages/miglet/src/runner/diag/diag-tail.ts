/**
 * The end of the runner's own logs (`_diag`, github-facts 1.7), for those who want to know what it did when it failed: redacted,
 * bounded, valid text.
 *
 * The folder is the runner's user's, who may not be trusted: a link in it must not make the MIGlet, which may be root, read another
 * file out to the world. So nothing but plain files in a plain folder is read, no link is followed, and no file that has
 * another name elsewhere.
 */
import { closeSync, constants, fstatSync, openSync, readSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { MAX_EVENT_DATA } from '@mig/common/domain/event';
import { redact } from './redact.js';

export interface DiagTailOptions {
  /** `runner.dir`. */
  readonly directory: string;
  /** `runner.diag_bytes`: of each log; 0 = nothing is ever read. */
  readonly maxBytes: number;
  /** Secrets that are known now. */
  readonly secrets: () => readonly string[];
}

export interface DiagTail {
  /**
   * What is new since the last call: `files` names the logs, `runner_log` and `worker_log` are their ends.
   * @returns undefined if there is nothing, or nothing new
   */
  read(): Record<string, string> | undefined;
}

const LOGS = [
  ['runner_log', /^Runner_[\w.-]{1,80}\.log$/],
  ['worker_log', /^Worker_[\w.-]{1,80}\.log$/],
] as const;

/** Read before what is kept, so that a secret that begins there is known as a whole. */
const MARGIN_BYTES = 64 * 1024;
/** An event is refused that is longer than `MAX_EVENT_DATA`; names and keys need some of it. */
const MAX_BYTES = Math.floor((MAX_EVENT_DATA - 4 * 1024) / LOGS.length);
/** A folder with more files than this has the newest by its name's time among the last ones; the rest are not looked at. */
const MAX_FILES = 1_000;

export function createDiagTail({ directory, maxBytes, secrets }: DiagTailOptions): DiagTail {
  const keptBytes = Math.min(maxBytes, MAX_BYTES);
  let lastRead = '';
  return {
    read() {
      if (keptBytes === 0) return undefined;
      const folder = openFolder(path.join(directory, '_diag'));
      if (folder === undefined) return undefined;
      try {
        const logs = LOGS.flatMap(([key, pattern]) => {
          const log = openNewest(folder, pattern);
          return log === undefined ? [] : [{ key, log }];
        });
        try {
          const version = logs.map(({ log }) => `${log.name} ${log.size} ${log.mtimeMs}`).join('\n');
          if (version === '' || version === lastRead) return undefined;
          lastRead = version;
          const known = secrets();
          return {
            files: logs.map(({ log }) => log.name).join(', '),
            ...Object.fromEntries(logs.map(({ key, log }) => [key, tailOf(log, keptBytes, known)])),
          };
        } finally {
          for (const { log } of logs) closeSync(log.descriptor);
        }
      } finally {
        closeSync(folder);
      }
    },
  };
}

interface OpenLog {
  readonly name: string;
  readonly descriptor: number;
  readonly size: number;
  readonly mtimeMs: number;
}

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants;

function openFolder(directory: string): number | undefined {
  try {
    return openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch {
    return undefined;
  }
}

/** By the descriptor of its folder, which nobody can exchange meanwhile (Linux); elsewhere none is found. */
function openNewest(folder: number, pattern: RegExp): OpenLog | undefined {
  const place = `/proc/self/fd/${folder}`;
  let newest: OpenLog | undefined;
  for (const name of namesIn(place, pattern)) {
    const log = openLog(place, name);
    if (log === undefined) continue;
    if (newest === undefined || log.mtimeMs > newest.mtimeMs) {
      if (newest !== undefined) closeSync(newest.descriptor);
      newest = log;
    } else closeSync(log.descriptor);
  }
  return newest;
}

/** Their names hold the time of their start, so the last are the newest. */
function namesIn(folder: string, pattern: RegExp): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => pattern.test(name))
      .sort()
      .slice(-MAX_FILES);
  } catch {
    return [];
  }
}

function openLog(folder: string, name: string): OpenLog | undefined {
  let descriptor: number;
  try {
    // Not blocking: a pipe that somebody put there must not hold the MIGlet.
    descriptor = openSync(path.join(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return undefined;
  }
  const stat = fstatSync(descriptor);
  if (stat.isFile() && stat.nlink === 1) return { name, descriptor, size: stat.size, mtimeMs: stat.mtimeMs };
  closeSync(descriptor);
  return undefined;
}

function tailOf({ descriptor, size }: OpenLog, keptBytes: number, secrets: readonly string[]): string {
  const from = Math.max(0, size - keptBytes - MARGIN_BYTES);
  const buffer = Buffer.alloc(size - from);
  let count = 0;
  while (count < buffer.length) {
    const read = readSync(descriptor, buffer, count, buffer.length - count, from + count);
    if (read === 0) break;
    count += read;
  }
  const text = new TextDecoder().decode(buffer.subarray(0, count));
  // Half a line may begin with half a secret.
  const whole = from === 0 ? text : text.slice(text.indexOf('\n') + 1 || text.length);
  return lastBytes(printableLines(redact(whole, secrets)), keptBytes);
}

// eslint-disable-next-line no-control-regex -- control characters are what it is for
const CONTROL_CHARACTERS = /\r(?=\n)|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const printableLines = (text: string): string =>
  text.replace(CONTROL_CHARACTERS, (found) => (found === '\r' ? '' : '\ufffd'));

/** Whole characters, and whole lines unless there is but one. */
function lastBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let from = bytes.length - maxBytes;
  while (((bytes[from] ?? 0) & 0xc0) === 0x80) from += 1;
  const cut = bytes.subarray(from).toString();
  const line = cut.indexOf('\n');
  return line < 0 || line === cut.length - 1 ? cut : cut.slice(line + 1);
}
