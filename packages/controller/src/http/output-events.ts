/** Output as server-sent events: `output`, `gap` where its middle was cut out, and at its end `end` with what became of it. */
import { isUtf8 } from 'node:buffer';
import * as z from 'zod';
import type { OutputReader } from '../tasks/output-flow.js';
import type { StoredChunk } from '../tasks/output-store.js';
import type { EventStream } from './event-stream.js';
import { query } from './query.js';

/**
 * Sends until all is sent or nobody reads any more. Each event's id is where to resume after it.
 *
 * @param ending the data of the last event
 * @param follow false: what there is now, and then the end
 */
export async function sendOutput(
  stream: EventStream,
  reader: OutputReader,
  ending: () => unknown,
  follow: boolean,
): Promise<void> {
  stream.closed.addEventListener('abort', () => reader.close(), { once: true });
  if (stream.closed.aborted) reader.close();
  try {
    for (let page = await reader.next(follow); page !== undefined; page = await reader.next(follow)) {
      if (page.cutBytes > 0) await stream.send({ type: 'gap', data: { cut_bytes: page.cutBytes } });
      for (const chunk of page.chunks)
        await stream.send({ id: String(chunk.end), type: 'output', data: toEvent(chunk) });
    }
    if (!stream.closed.aborted) await stream.send({ type: 'end', data: ending() });
  } finally {
    reader.close();
    stream.end();
  }
}

const toEvent = ({ stream, data }: StoredChunk): unknown =>
  isUtf8(data) ? { stream, text: data.toString() } : { stream, base64: data.toString('base64') };

/** The parameters of every route of output. */
export const outputQuery = query({
  after: z.string().max(32).optional().describe('as Last-Event-ID'),
  follow: z
    .enum(['true', 'false'])
    .default('true')
    .transform((text) => text === 'true')
    .describe('false: what there is now, and then the end'),
});
