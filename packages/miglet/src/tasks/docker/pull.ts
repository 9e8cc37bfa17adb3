/** Pulls an image, and tells how it goes. */
import { EngineError, type Engine } from './engine.js';

/** A line about a layer comes at most this often while it only counts on. */
const PROGRESS_MS = 1_000;
/** The registry may be slow to answer at all. */
const HEAD_MS = 5 * 60_000;

interface Progress {
  readonly id?: string;
  readonly status?: string;
  readonly progress?: string;
  readonly error?: string;
}

/** @param say gets a line without its line break @throws EngineError, also for what comes within the stream */
export async function pullImage(
  engine: Engine,
  image: string,
  signal: AbortSignal,
  say: (line: string) => Promise<void>,
): Promise<void> {
  const body = await engine.open({
    method: 'POST',
    path: '/images/create',
    // Without a tag the engine pulls all that there are.
    query: { fromImage: hasTag(image) ? image : `${image}:latest` },
    signal,
    headWithinMs: HEAD_MS,
  });
  const told = new Map<string, { readonly status: string; readonly atMs: number }>();
  for await (const entry of jsonLines(body)) {
    if (entry.error !== undefined) throw new EngineError(entry.error, 500);
    const { id = '', status = '', progress = '' } = entry;
    const before = told.get(id);
    const nowMs = performance.now();
    if (id !== '' && before?.status === status && nowMs - before.atMs < PROGRESS_MS) continue;
    told.set(id, { status, atMs: nowMs });
    await say([id === '' ? status : `${id}: ${status}`, progress].filter((part) => part !== '').join(' '));
  }
}

/** `name:tag` or `name@sha256:…`; the colon of a registry's port is none of a tag. */
function hasTag(image: string): boolean {
  return image.includes('@') || (image.split('/').at(-1) ?? '').includes(':');
}

async function* jsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<Progress> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const part of body) {
    const lines = (rest + decoder.decode(part, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as Progress;
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as Progress;
}
