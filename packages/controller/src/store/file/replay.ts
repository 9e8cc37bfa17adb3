/**
 * Brings the files to what the log says, at opening, before any of them is read.
 *
 * Needed after a crash (the log had an entry, its file had not been moved into its place) and after a power cut (files that
 * were moved there and not yet synced may be empty). Doing it again, after a crash in the middle of it, gives the same: the
 * segments stay until the checkpoint has made their files durable, which goes on in the background.
 *
 * A segment that a crash cut short ends with a torn line: it was nobody's promise, and is dropped. A torn line before good
 * ones is damage: the good ones count, and the segment is kept as `NAME.bad`.
 */
import path from 'node:path';
import pLimit from 'p-limit';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { errorCode, EXHAUSTED, type FileOperations } from './file-operations.js';
import { TEMPORARY_SUFFIX } from './placing.js';
import { forEach } from './for-each.js';
import { parseLine, textOf, type LogEntry } from './log-entry.js';
import {
  createSegment,
  LOG_FOLDER,
  parseSegmentName,
  REMOVED_PREFIX,
  segmentName,
  type Segment,
} from './log-segment.js';
import { ASIDE_SUFFIX, type SetAside } from './set-aside.js';
import { listDirectory, readable } from './unreadable.js';

/** Files that are looked at at a time. */
const PARALLEL_FILES = 16;

export interface ReplayDeps {
  readonly files: FileOperations;
  readonly setAside: SetAside;
  readonly logger: Logger;
}

export interface Replayed {
  /** In their order, for the checkpoint. */
  readonly segments: readonly Segment[];
  /** For the next segment. */
  readonly nextNumber: number;
}

/**
 * @param root the data directory
 * @throws DataDirectoryUnreadableError, or the system's error if a file cannot be written as the log says
 */
export async function replayLog(deps: ReplayDeps, root: string): Promise<Replayed> {
  const directory = path.join(root, LOG_FOLDER);
  const numbers: number[] = [];
  for (const { name, kind } of await listDirectory(deps.files, directory)) {
    if (name.startsWith(REMOVED_PREFIX)) {
      await deps.files
        .removeTree(path.join(directory, name))
        .catch((error: unknown) =>
          deps.logger.warn({ name, reason: errorMessage(error) }, 'what was removed still takes room'),
        );
    }
    const number = parseSegmentName(name);
    if (number === undefined) continue;
    if (kind === 'file') numbers.push(number);
    else await deps.setAside.move(path.join(directory, name), 'not a file', undefined);
  }
  numbers.sort((a, b) => a - b);
  const segments: Segment[] = [];
  for (const number of numbers) {
    segments.push(await replaySegment(deps, root, path.join(directory, segmentName(number))));
  }
  return { segments, nextNumber: (numbers.at(-1) ?? 0) + 1 };
}

async function replaySegment(deps: ReplayDeps, root: string, file: string): Promise<Segment> {
  const { files, setAside, logger } = deps;
  const text = await readable(file, () => files.readText(file));
  const segment = createSegment(file);
  segment.bytes = Buffer.byteLength(text);
  const last = new Map<string, LogEntry>();
  const lines = text.split('\n');
  const bad: number[] = [];
  let lastGood = 0;
  for (const [index, line] of lines.entries()) {
    if (line === '') continue;
    const entry = parseLine(line);
    if (entry === undefined) {
      bad.push(index + 1);
      continue;
    }
    lastGood = index + 1;
    if (entry.removed === 'tree') forgetInside(last, entry.path);
    last.set(entry.path, entry);
    segment.paths.add(entry.path);
  }
  const damaged = bad.filter((number) => number < lastGood);
  if (damaged.length > 0) {
    segment.damaged = true;
    const reason = `${damaged.length} lines of the log cannot be read, the first is line ${damaged[0]}; the others count`;
    setAside.note({ vmId: undefined, file, setAsideAs: file + ASIDE_SUFFIX, reason });
  } else if (bad.length > 0) {
    logger.info(
      { segment: file, line: bad[0] },
      'the last write before a crash was torn; it was never confirmed',
    );
  }

  const entries = [...last.values()];
  for (const entry of entries) {
    if (entry.removed === 'tree') await files.removeTree(path.join(root, entry.path));
  }
  await forEach(pLimit(PARALLEL_FILES), entries, async (entry) => {
    const target = path.join(root, entry.path);
    if (entry.removed === 'file') await files.remove(target);
    else if (entry.removed === undefined) await bringUp(deps, root, entry.path, textOf(entry.content));
  });
  logger.info({ segment: file, files: entries.length }, 'the log was replayed');
  return segment;
}

function forgetInside(entries: Map<string, LogEntry>, directory: string): void {
  for (const name of entries.keys()) if (name.startsWith(`${directory}/`)) entries.delete(name);
}

async function bringUp(deps: ReplayDeps, root: string, name: string, content: string): Promise<void> {
  const { files } = deps;
  const target = path.join(root, name);
  if ((await contentOf(files, target)) === content) return;
  const temporary = path.join(path.dirname(target), `.${path.basename(target)}.replay${TEMPORARY_SUFFIX}`);
  const write = async () => {
    await files.makeDirectory(path.dirname(target));
    await files.writeText(temporary, content, false);
    await files.rename(temporary, target);
  };
  await write().catch(async (error: unknown) => {
    if (!(await clearWay(deps, root, name))) throw error;
    await write();
  });
}

/** Undefined for anything but a file that can be read. */
async function contentOf(files: FileOperations, target: string): Promise<string | undefined> {
  if ((await files.kindOf(target)) !== 'file') return undefined;
  return files.readText(target).catch((error: unknown) => {
    if (EXHAUSTED.has(errorCode(error) ?? '')) throw error;
    return undefined;
  });
}

/** Sets aside what is not a directory above the file, and what is one in its place. @returns whether there was any */
async function clearWay(deps: ReplayDeps, root: string, name: string): Promise<boolean> {
  const parts = name.split('/');
  const vmId = parts.length > 1 && !name.startsWith('.') ? parts[0] : undefined;
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const at = path.join(root, ...parts.slice(0, depth));
    const kind = await deps.files.kindOf(at);
    const wanted = depth === parts.length ? 'file' : 'directory';
    if (kind === undefined || kind === wanted) continue;
    await deps.setAside.move(at, `a ${wanted} should be here`, vmId);
    return true;
  }
  return false;
}
