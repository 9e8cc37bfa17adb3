/** A file of the write-ahead log, and what is remembered of it until it can be dropped. */

/** The folder of the log in the data directory. No id begins with a dot, so no VM's folder is ever called so. */
export const LOG_FOLDER = '.wal';

/** What begins the name of a directory in it that was removed, and is not yet gone. */
export const REMOVED_PREFIX = 'removed-';

export interface Segment {
  readonly file: string;
  /** How much of the file counts. */
  bytes: number;
  /** The paths that it names, relative to the data directory: what must be synced before it can be dropped. */
  readonly paths: Set<string>;
  /** Lines that could not be read stand before lines that could: it is kept for a person to look at. */
  damaged: boolean;
  /** Entries whose files are not yet as the entries say. */
  applying: number;
  /** Called when `applying` has come to 0. */
  onApplied: (() => void) | undefined;
}

export const createSegment = (file: string): Segment => ({
  file,
  bytes: 0,
  paths: new Set(),
  damaged: false,
  applying: 0,
  onApplied: undefined,
});

/** Notes an entry that is in the log now. @returns to be called once, when its file is as it says */
export function noteEntry(segment: Segment, path: string): () => void {
  segment.paths.add(path);
  segment.applying += 1;
  return () => {
    segment.applying -= 1;
    if (segment.applying === 0) segment.onApplied?.();
  };
}

const NAME = /^(\d{10})\.log$/;

/** Sorts as text for as many segments as there will ever be. */
export const segmentName = (number: number): string => `${String(number).padStart(10, '0')}.log`;

/** The number in a segment's file name, or undefined for any other file. */
export function parseSegmentName(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
