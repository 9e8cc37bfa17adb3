/**
 * The output of one task or job, on disk, bounded (I12): its beginning and its end are kept, the middle is cut out.
 *
 *   {folder}/{offset}.out     frames; the name is where the segment begins
 *
 * A segment is closed at its size. The first ones are kept, and the last ones; between them the oldest go. It is no record that
 * must survive a power cut: it is not synced.
 */
import { open, readFile, readdir, rm, mkdir, truncate, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { OutputStreamName } from '@mig/common/domain/task-messages';
import type { OutputLog, OutputPage, StoredChunk } from '../../tasks/output-store.js';
import { HEAD_BYTES, encodeFrame, readHead } from './frames.js';

export interface OutputLimits {
  readonly segmentBytes: number;
  /** Segments that are kept from the beginning, and from the end. */
  readonly headSegments: number;
  readonly tailSegments: number;
}

interface Segment {
  readonly start: number;
  /** With heads of frames. */
  size: number;
  /** Of output. */
  bytes: number;
}

const READ_BYTES = 256 * 1024;
const SUFFIX = '.out';

/** @param onFailure told once, when something could not be written */
export async function openOutputLog(
  folder: string,
  limits: OutputLimits,
  onFailure: (error: unknown) => void,
): Promise<OutputLog> {
  const { segments, lastSequence: found, lostBytes } = await readBack(folder);
  let lastSequence = found;
  let cutBytes = lostBytes;
  let bytes = lostBytes + segments.reduce((sum, segment) => sum + segment.bytes, 0);
  let file: FileHandle | undefined;
  let failed = false;
  let writing: Promise<void> = Promise.resolve();

  const fileOf = (segment: Segment): string => path.join(folder, nameOf(segment.start));
  const endOf = (segment: Segment | undefined): number =>
    segment === undefined ? 0 : segment.start + segment.size;

  async function current(needed: number): Promise<Segment> {
    let last = segments.at(-1);
    if (last === undefined || (last.size > 0 && last.size + needed > limits.segmentBytes)) {
      await file?.close();
      file = undefined;
      last = { start: endOf(last), size: 0, bytes: 0 };
      if (segments.length === 0) await mkdir(folder, { recursive: true, mode: 0o700 });
      segments.push(last);
      await cutMiddle();
    }
    file ??= await open(fileOf(last), 'a', 0o600);
    return last;
  }

  async function cutMiddle(): Promise<void> {
    while (segments.length > limits.headSegments + limits.tailSegments) {
      const [cut] = segments.splice(limits.headSegments, 1);
      if (cut === undefined) return;
      cutBytes += cut.bytes;
      await rm(fileOf(cut), { force: true });
    }
  }

  async function write(stream: OutputStreamName, data: Uint8Array, sequence: number): Promise<void> {
    bytes += data.length;
    lastSequence = Math.max(lastSequence, sequence);
    try {
      const frame = encodeFrame(stream, sequence, data);
      const segment = await current(frame.length);
      await file?.appendFile(frame);
      segment.size += frame.length;
      segment.bytes += data.length;
    } catch (error) {
      cutBytes += data.length;
      if (!failed) onFailure(error);
      failed = true;
    }
  }

  /** How much output is missing between the place and the segment. Within what was cut out, the heads of frames count too. */
  function cutBetween(from: number, { start }: Segment): number {
    if (start <= from) return 0;
    const head = segments[limits.headSegments - 1];
    return from === endOf(head) ? cutBytes : Math.min(cutBytes, start - from);
  }

  return {
    get end() {
      return endOf(segments.at(-1));
    },
    get bytes() {
      return bytes;
    },
    get cutBytes() {
      return cutBytes;
    },
    get lastSequence() {
      return lastSequence;
    },

    append(stream, data, sequence) {
      writing = writing.then(() => write(stream, data, sequence));
      return writing;
    },

    async read(from): Promise<OutputPage> {
      const segment = segments.find((candidate) => endOf(candidate) > from);
      if (segment === undefined) return { chunks: [], cutBytes: 0, next: from };
      const cut = cutBetween(from, segment);
      const size = segment.size;
      let bytesRead: Buffer;
      try {
        bytesRead = await readPart(fileOf(segment), from - segment.start, size);
      } catch (error) {
        // It was cut out meanwhile: the next read finds the gap.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !segments.includes(segment))
          return { chunks: [], cutBytes: 0, next: from };
        throw error;
      }
      const chunks: StoredChunk[] = [];
      let at = 0;
      const base = Math.max(from, segment.start);
      for (;;) {
        const head = readHead(bytesRead, at);
        if (head === undefined || at + HEAD_BYTES + head.length > bytesRead.length) break;
        const data = bytesRead.subarray(at + HEAD_BYTES, at + HEAD_BYTES + head.length);
        at += HEAD_BYTES + head.length;
        chunks.push({ stream: head.stream, data, end: base + at });
      }
      // Nothing whole where a chunk should begin: the place is none, or the file is damaged. The segment is passed over.
      const next = at === 0 ? segment.start + size : base + at;
      return { chunks, cutBytes: cut, next };
    },

    async finish() {
      await writing;
      await file?.close();
      file = undefined;
    },
  };
}

/** @param offset less than 0 counts as 0 */
async function readPart(file: string, offset: number, size: number): Promise<Buffer> {
  const start = Math.max(0, offset);
  const handle = await open(file, 'r');
  try {
    // A chunk is never larger than one message, so a whole one is always in it.
    const buffer = Buffer.allocUnsafe(Math.min(size - start, READ_BYTES));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    const part = buffer.subarray(0, bytesRead);
    const head = readHead(part, 0);
    if (head === undefined || HEAD_BYTES + head.length <= part.length) return part;
    const whole = Buffer.allocUnsafe(HEAD_BYTES + head.length);
    const again = await handle.read(whole, 0, whole.length, start);
    return whole.subarray(0, again.bytesRead);
  } finally {
    await handle.close();
  }
}

const nameOf = (start: number): string => `${String(start).padStart(16, '0')}${SUFFIX}`;

/** What an earlier process left; a torn end is cut off. */
async function readBack(
  folder: string,
): Promise<{ segments: Segment[]; lastSequence: number; lostBytes: number }> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^\d{16}\.out$/.test(name)).sort();
  const segments: Segment[] = [];
  let lastSequence = 0;
  let lostBytes = 0;
  for (const [index, name] of names.entries()) {
    const content = await readFile(path.join(folder, name));
    const start = Number(name.slice(0, -SUFFIX.length));
    const before = segments.at(-1);
    // Heads of frames count as output here: of what was cut out nothing better is known.
    if (before !== undefined) lostBytes += Math.max(0, start - before.start - before.size);
    let at = 0;
    let bytes = 0;
    for (;;) {
      const head = readHead(content, at);
      if (head === undefined || at + HEAD_BYTES + head.length > content.length) break;
      at += HEAD_BYTES + head.length;
      bytes += head.length;
      lastSequence = Math.max(lastSequence, head.sequence);
    }
    if (at < content.length && index === names.length - 1) await truncate(path.join(folder, name), at);
    segments.push({ start, size: at, bytes });
  }
  return { segments, lastSequence, lostBytes };
}
