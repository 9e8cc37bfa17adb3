/** Reads server-sent events, and goes on where it was when the connection breaks. */
import { backoffDelayMs } from '@mig/common/backoff';
import { CliError, EXIT, UnavailableError } from '../errors.js';
import type { Io } from '../io.js';
import type { Session } from '../session.js';

export interface StreamEvent {
  readonly type: string;
  readonly data: string;
}

export interface EventStreamDeps {
  readonly session: Pick<Session, 'fetch' | 'server'> & { readonly io: Pick<Io, 'clock' | 'random'> };
  /** Ends the reading; the iteration then ends without an error. */
  readonly signal: AbortSignal;
}

/** How long a controller that was there may be away: 60 s. */
const PATIENCE_MS = 60_000;
const BACKOFF = { firstMs: 250, maxMs: 2_000 };

/**
 * The events of `path`, each once and in order, up to and with the first of type `end`.
 *
 * @throws CliError if the controller refuses, or is away for too long
 */
export async function* readEventStream(deps: EventStreamDeps, path: string): AsyncGenerator<StreamEvent> {
  const { session, signal } = deps;
  const { io, server } = session;
  const place: { id: string } = { id: '' };
  let lastAnswerMs = io.clock.monotonicMs();
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    let reason: string;
    try {
      const response = await session.fetch(server + path, {
        headers: { accept: 'text/event-stream', ...(place.id === '' ? {} : { 'last-event-id': place.id }) },
        signal,
      });
      if (response.status >= 500) reason = `HTTP ${response.status}`;
      else if (!response.ok || response.body === null) throw await refusalOf(response);
      else {
        attempt = 0;
        for await (const event of parseEvents(response.body, place)) {
          lastAnswerMs = io.clock.monotonicMs();
          yield event;
          if (event.type === 'end') return;
        }
        reason = 'the connection was ended';
      }
    } catch (error) {
      if (error instanceof CliError) throw error;
      reason = error instanceof Error ? error.message : String(error);
    }
    if (signal.aborted) return;
    if (io.clock.monotonicMs() - lastAnswerMs > PATIENCE_MS) {
      throw new UnavailableError(
        `the controller at ${server} does not answer any more (${reason})`,
        'the task goes on without you; see `migctl get tasks`',
      );
    }
    await io.clock.sleep(backoffDelayMs(BACKOFF, attempt, io.random), signal).catch(() => undefined);
  }
}

async function refusalOf(response: Response): Promise<CliError> {
  const text = await response.text();
  let detail = `HTTP ${response.status}`;
  try {
    detail = (JSON.parse(text) as { detail?: string }).detail ?? detail;
  } catch {
    // It is no problem of the controller; its status says what there is to say.
  }
  return new CliError('refused', detail, EXIT.failed);
}

/** @param place its id is where to resume */
async function* parseEvents(
  body: ReadableStream<Uint8Array>,
  place: { id: string },
): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const part of body as unknown as AsyncIterable<Uint8Array>) {
    rest += decoder.decode(part, { stream: true });
    let from = 0;
    for (let at = rest.indexOf('\n\n', from); at !== -1; at = rest.indexOf('\n\n', from)) {
      const block = rest.slice(from, at);
      from = at + 2;
      const event = parseBlock(block, place);
      if (event !== undefined) yield event;
    }
    rest = rest.slice(from);
  }
}

function parseBlock(block: string, place: { id: string }): StreamEvent | undefined {
  let type = 'message';
  let data: string | undefined;
  for (const line of block.split('\n')) {
    if (line.startsWith('data: ')) data = line.slice(6);
    else if (line.startsWith('event: ')) type = line.slice(7);
    else if (line.startsWith('id: ')) place.id = line.slice(4);
  }
  return data === undefined ? undefined : { type, data };
}
