/**
 * The write-ahead log: what is in it survives a crash and a power cut (I1, I4).
 *
 *   {data_dir}/.wal/0000000007.log     lines of log-entry.ts
 *
 * All entries that wait are written with one write and made durable with one sync (group commit): how many writes a disk
 * takes per second does not depend on how fast it syncs. A segment ends at a size or an age; it is then handed over, to
 * be dropped when the files that it names are synced themselves (checkpoint.ts).
 *
 * A batch that cannot be written is refused whole, and cut off again before anything is written after it: a line that was
 * refused is never followed by one that was not, so what was said to have failed does not come back beside its repetition.
 */
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '@mig/common/clock';
import type { IsBusy } from '@mig/common/process-load';
import { testPoint } from '@mig/common/test-points';
import type { FileOperations, LogFile } from './file-operations.js';
import { toLine, type LogEntry } from './log-entry.js';
import { createSegment, LOG_FOLDER, noteEntry, segmentName, type Segment } from './log-segment.js';

/** It bounds what must be read after a crash. */
const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024;
/**
 * A segment is ended at this age, so that an idle controller has nothing to make good. Not sooner: what is written again within it is
 * synced once.
 */
const SEGMENT_AGE_MS = 60_000;
/**
 * While the process is busy and several write at the same time, a batch begins so much later: what comes until then shares its write.
 * One alone never waits.
 */
const GATHER_MS = 4;
/** One write takes as many entries as fit in 8 Mi characters; the rest waits for the next. */
const BATCH_CHARACTERS = 8 * 1024 * 1024;

export interface LogRequest {
  /** Makes the entry, when its batch is written. */
  entry(): LogEntry;
  /**
   * It survives a power cut. Called in the order of the log.
   *
   * @param applied to be called once its file is as the entry says
   */
  onLogged(applied: () => void): void;
  /** It could not be written; the next one is tried anew. */
  onRefused(error: Error): void;
}

export interface WriteAheadLog {
  /** Exactly one of `onLogged` and `onRefused` is called, later. */
  enter(request: LogRequest): void;
  /**
   * Resolves when the entry survives a power cut, with a function to call once its file is as the entry says.
   * Rejects with the system's error when it could not be written; the next one is tried anew.
   *
   * @param entry made when its batch is written
   * @param onLogged called when it survives, in the order of the log: what resolves is heard of in no order that is promised
   */
  append(entry: () => LogEntry, onLogged?: () => void): Promise<() => void>;
  /** Is the path in the segment that is being written? */
  names(path: string): boolean;
  /** Ends the segment. Resolves when it is handed over; at once if there is none. */
  seal(): Promise<void>;
}

export interface WriteAheadLogDeps {
  readonly files: FileOperations;
  readonly clock: Clock;
  readonly isBusy: IsBusy;
  /** Called with every segment that has ended, in their order. */
  readonly onSealed: (segment: Segment) => void;
}

export interface WriteAheadLogOptions {
  /** The data directory. */
  readonly root: string;
  /** Number of the first segment: higher than any that is there. */
  readonly firstNumber: number;
  /** A segment of this size is ended; default 16 MiB. */
  readonly segmentBytes?: number | undefined;
}

interface WaitingEntry {
  readonly request: LogRequest;
  /** Made, and too long for the batch that it was made for. */
  made?: { readonly path: string; readonly line: string };
}

interface Batch {
  readonly text: string;
  readonly entries: readonly { readonly waiting: WaitingEntry; readonly path: string }[];
}

interface OpenSegment {
  readonly segment: Segment;
  readonly file: LogFile;
  /** Something may stand behind what counts. */
  tail: boolean;
  ageTimer: unknown;
}

export function createWriteAheadLog(deps: WriteAheadLogDeps, options: WriteAheadLogOptions): WriteAheadLog {
  const { files, clock } = deps;
  const directory = path.join(options.root, LOG_FOLDER);
  const segmentBytes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES;
  let waiting: WaitingEntry[] = [];
  let sealWanted: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  let open: OpenSegment | undefined;
  let nextNumber = options.firstNumber;
  let lastCount = 0;
  let running = false;
  let starting = false;

  /** In a moment: what many streams bring in one turn of the event loop shares one sync. */
  function start(): void {
    if (running || starting) return;
    starting = true;
    setImmediate(() => {
      starting = false;
      void run();
    });
  }

  /** One thing at a time, until nothing is left to do. */
  async function run(): Promise<void> {
    if (running) return;
    running = true;
    while (waiting.length > 0 || sealWanted.length > 0) {
      if (lastCount > 1 && deps.isBusy()) await pause(GATHER_MS);
      if (waiting.length > 0) {
        const batch = takeBatch();
        lastCount = batch.entries.length;
        await commitBatch(batch);
      }
      if (sealWanted.length > 0 || (open !== undefined && open.segment.bytes >= segmentBytes)) {
        const asked = sealWanted;
        sealWanted = [];
        await endSegment().then(
          () => asked.forEach(({ resolve }) => resolve()),
          (error: unknown) => asked.forEach(({ reject }) => reject(error)),
        );
      }
    }
    running = false;
  }

  function takeBatch(): Batch {
    const entries: { readonly waiting: WaitingEntry; readonly path: string }[] = [];
    let text = '';
    let taken = 0;
    for (const next of waiting) {
      try {
        next.made ??= make(next.request.entry());
      } catch (error) {
        taken += 1;
        next.request.onRefused(toError(error));
        continue;
      }
      if (text !== '' && text.length + next.made.line.length > BATCH_CHARACTERS) break;
      taken += 1;
      text += next.made.line;
      entries.push({ waiting: next, path: next.made.path });
    }
    waiting = waiting.slice(taken);
    return { text, entries };
  }

  async function commitBatch({ text, entries }: Batch): Promise<void> {
    if (entries.length === 0) return;
    let segment: Segment;
    try {
      segment = await write(Buffer.from(text));
    } catch (error) {
      for (const entry of entries) entry.waiting.request.onRefused(toError(error));
      return;
    }
    for (const { waiting: entry, path: name } of entries) entry.request.onLogged(noteEntry(segment, name));
  }

  /** @returns the segment that has it, durably */
  async function write(data: Buffer): Promise<Segment> {
    open ??= await beginSegment();
    if (!(await writeTo(open, data))) {
      // Somebody emptied the data directory: what was in that file is in no log any more.
      await endSegment();
      open = await beginSegment();
      if (!(await writeTo(open, data)))
        throw new Error(`${open.segment.file} was removed while it was written`);
    }
    return open.segment;
  }

  /** @returns false if nobody can find what was written, because the file was removed */
  async function writeTo(target: OpenSegment, data: Buffer): Promise<boolean> {
    if (target.tail) await target.file.truncate(target.segment.bytes);
    target.tail = true;
    const writing = target.file.write(data, target.segment.bytes).then(() => target.file.sync());
    const [linked] = await Promise.all([target.file.isLinked(), writing]);
    testPoint('store.logged');
    target.segment.bytes += data.length;
    target.tail = false;
    return linked;
  }

  async function beginSegment(): Promise<OpenSegment> {
    const name = path.join(directory, segmentName(nextNumber));
    nextNumber += 1;
    await files.makeDirectory(directory);
    const file = await files.createLogFile(name);
    try {
      await files.syncDirectory(directory);
      await files.syncDirectory(options.root);
    } catch (error) {
      await file.close().catch(() => undefined);
      await files.remove(name).catch(() => undefined);
      throw error;
    }
    return { segment: createSegment(name), file, tail: false, ageTimer: armAgeTimer() };
  }

  function armAgeTimer(): unknown {
    return clock.setTimer(() => {
      seal().catch(() => {
        if (open !== undefined) open.ageTimer = armAgeTimer();
      });
    }, SEGMENT_AGE_MS);
  }

  async function endSegment(): Promise<void> {
    if (open === undefined) return;
    if (open.tail) {
      // Durably: what follows in the next segment must not be found beside it.
      await open.file.truncate(open.segment.bytes);
      await open.file.sync();
      open.tail = false;
    }
    clock.clearTimer(open.ageTimer);
    const { segment, file } = open;
    open = undefined;
    await file.close().catch(() => undefined); // it is synced: nothing can be lost by it
    deps.onSealed(segment);
  }

  function seal(): Promise<void> {
    return new Promise((resolve, reject) => {
      sealWanted.push({ resolve, reject });
      start();
    });
  }

  function enter(request: LogRequest): void {
    waiting.push({ request });
    start();
  }

  return {
    enter,
    append: (entry, onLogged) =>
      new Promise((resolve, reject) => {
        enter({
          entry,
          onLogged(applied) {
            onLogged?.();
            resolve(applied);
          },
          onRefused: reject,
        });
      }),
    names: (name) => open?.segment.paths.has(name) ?? false,
    seal,
  };
}

const make = (entry: LogEntry) => ({ path: entry.path, line: toLine(entry) });

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
