/** stdout and stderr: writes that never throw, and what is known of the other end. */

export interface Output {
  /** Bytes go out as they are. */
  write(text: string | Uint8Array): void;
  readonly isTty: boolean;
  /** Width of the terminal now; 80 if it is not known. */
  columns(): number;
  /** Height of the terminal now; 24 if it is not known. */
  rows(): number;
  /** Aborted when the reader has gone (`| head`): what is written later goes nowhere. */
  readonly closed: AbortSignal;
  /** Resolves when all that was written has been taken, or has failed. */
  flush(): Promise<void>;
  /** The first failed write that is not a reader that went away: a full disk, for example. */
  failure(): Error | undefined;
}

/** What `createOutput` needs of `process.stdout`. */
export interface OutputStream {
  write(text: string | Uint8Array, taken?: () => void): unknown;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/** What a write fails with when nobody reads any more. */
const READER_GONE = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED', 'EOF']);

export function createOutput(stream: OutputStream): Output {
  const closed = new AbortController();
  let failure: Error | undefined;
  stream.on('error', (error) => {
    if (!READER_GONE.has(error.code ?? '')) failure ??= error;
    closed.abort();
  });
  return {
    write(text) {
      if (!closed.signal.aborted) stream.write(text);
    },
    isTty: stream.isTTY === true,
    columns: () => stream.columns || 80,
    rows: () => stream.rows || 24,
    closed: closed.signal,
    flush: () =>
      closed.signal.aborted ? Promise.resolve() : new Promise((taken) => stream.write('', () => taken())),
    failure: () => failure,
  };
}
