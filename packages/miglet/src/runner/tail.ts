/**
 * Follows a file that another process appends to, line by line, and tells where each line ends: whoever notes that place goes
 * on from it later. The file may be emptied by its reader: it is then read from its beginning.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, watch, type FSWatcher } from 'node:fs';

export interface Tail {
  /** Reads what is there now; also called by itself when the file changes. */
  read(): void;
  /**
   * Empties the file, unless something of it is not read yet, or its last line is not whole.
   * @returns false if it was not emptied
   */
  empty(): boolean;
  /** Empties the file, read or not. */
  discard(): void;
  /** Where the last whole line ends that was read, in bytes from the beginning. */
  readonly offset: number;
  stop(): void;
}

export interface TailOptions {
  /** Where to begin, in bytes; default: at the beginning. A file that is shorter is read from its beginning. */
  readonly from?: number;
  /** Is called about once a second, after what was there was read. @param quiet nothing has come since the last time */
  readonly onPoll?: (quiet: boolean) => void;
  /** It is read when `read` is called, and not by itself. */
  readonly manual?: boolean;
}

/** Should a change not be told by the system, it is found this much later. */
const POLL_MS = 1_000;
const CHUNK_BYTES = 64 * 1024;
/** A line is cut here: a job's name may be long, but not endless. */
const MAX_LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

/** @param onLine a whole line without its end, and the offset at which the next one begins */
export function tailFile(
  file: string,
  onLine: (line: string, offset: number) => void,
  { from = 0, onPoll, manual = false }: TailOptions = {},
): Tail {
  const descriptor = openSync(file, 'r+');
  const buffer = Buffer.alloc(CHUNK_BYTES);
  /** The beginning of a line whose end is not there yet. */
  let rest = Buffer.alloc(0);
  let position = fstatSync(descriptor).size < from ? 0 : from;
  let lineEnd = position;
  let stopped = false;
  let reading = false;

  /** Not while a line is being taken: what comes meanwhile is read the next time. */
  function read(): void {
    if (stopped || reading) return;
    reading = true;
    try {
      readOn();
    } finally {
      reading = false;
    }
  }

  function readOn(): void {
    const { size } = fstatSync(descriptor);
    if (size < position) begin();
    // What comes while this is read is read the next time: a writer that is faster must not keep it here.
    while (!stopped && position < size) {
      const count = readSync(descriptor, buffer, 0, Math.min(CHUNK_BYTES, size - position), position);
      if (count === 0) return;
      take(buffer.subarray(0, count));
    }
  }

  function begin(): void {
    position = 0;
    lineEnd = 0;
    rest = Buffer.alloc(0);
  }

  function take(chunk: Buffer): void {
    const chunkAt = position;
    position += chunk.length;
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([rest, chunk.subarray(start, end)]).subarray(0, MAX_LINE_BYTES);
      rest = Buffer.alloc(0);
      start = end + 1;
      lineEnd = chunkAt + start;
      onLine(line.toString('utf8').replace(/\r$/, ''), lineEnd);
      if (stopped) return;
    }
    if (rest.length < MAX_LINE_BYTES) rest = Buffer.concat([rest, chunk.subarray(start)]);
  }

  let polledAt = position;
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  if (!manual) {
    try {
      watcher = watch(file, { persistent: false }, read);
      watcher.on('error', () => watcher?.close());
    } catch {
      // No notification to be had here: the timer alone reads.
    }
    timer = setInterval(() => {
      read();
      const quiet = position === polledAt;
      polledAt = position;
      if (!stopped) onPoll?.(quiet);
    }, POLL_MS).unref();
  }
  return {
    read,
    empty() {
      read();
      // Whoever writes appends (O_APPEND): it goes on at the new end.
      if (stopped || lineEnd !== position || fstatSync(descriptor).size !== position) return false;
      ftruncateSync(descriptor, 0);
      begin();
      polledAt = 0;
      return true;
    },
    discard() {
      if (stopped) return;
      ftruncateSync(descriptor, 0);
      begin();
    },
    get offset() {
      return lineEnd;
    },
    stop() {
      if (stopped) return;
      stopped = true;
      watcher?.close();
      clearInterval(timer);
      closeSync(descriptor);
    },
  };
}
