/** Follows a file that another process appends to, line by line, from its beginning. */
import { closeSync, openSync, readSync, watch, type FSWatcher } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

export interface Tail {
  /** Reads what is there now; also called by itself when the file changes. */
  read(): void;
  stop(): void;
}

/** Should a change not be told by the system, it is found this much later. */
const POLL_MS = 1_000;
const CHUNK_BYTES = 64 * 1024;
/** A line is cut here: a job's name may be long, but not endless. */
const MAX_LINE_LENGTH = 16 * 1024;

export function tailFile(file: string, onLine: (line: string) => void): Tail {
  const descriptor = openSync(file, 'r');
  const decoder = new StringDecoder('utf8');
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let rest = '';
  let stopped = false;

  function read(): void {
    for (;;) {
      if (stopped) return;
      const count = readSync(descriptor, buffer, 0, CHUNK_BYTES, null);
      if (count === 0) return;
      const lines = (rest + decoder.write(buffer.subarray(0, count))).split('\n');
      rest = (lines.pop() ?? '').slice(0, MAX_LINE_LENGTH);
      for (const line of lines) if (!stopped) onLine(line.replace(/\r$/, ''));
    }
  }

  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(file, { persistent: false }, read);
    watcher.on('error', () => watcher?.close());
  } catch {
    // No notification to be had here: the timer alone reads.
  }
  const timer = setInterval(read, POLL_MS).unref();
  return {
    read,
    stop() {
      if (stopped) return;
      stopped = true;
      watcher?.close();
      clearInterval(timer);
      closeSync(descriptor);
    },
  };
}
