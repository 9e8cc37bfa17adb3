/** Reads server-sent events as any client does. */
import http from 'node:http';

export interface ReadEvent {
  readonly id: string | undefined;
  readonly type: string;
  readonly data: Record<string, unknown>;
}

export interface EventReader {
  readonly events: readonly ReadEvent[];
  readonly ended: Promise<void>;
  readonly status: Promise<number>;
  /** Reads no more, and keeps the connection. */
  pause(): void;
  resume(): void;
  close(): void;
}

export function readEvents(port: number, path: string, headers: Record<string, string> = {}): EventReader {
  const events: ReadEvent[] = [];
  let response: http.IncomingMessage | undefined;
  let paused = false;
  const request = http.get({ host: '127.0.0.1', port, path, headers, agent: false });
  const status = new Promise<number>((resolve) => {
    request.once('response', (message) => resolve(message.statusCode ?? 0));
  });
  const ended = new Promise<void>((resolve) => {
    request.once('error', () => resolve());
    request.once('response', (message) => {
      response = message;
      if (paused) message.pause();
      let rest = '';
      message.setEncoding('utf8');
      message.on('data', (text: string) => {
        const blocks = (rest + text).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) if (!block.startsWith(':')) events.push(parseBlock(block));
      });
      message.once('close', resolve);
    });
  });
  return {
    events,
    ended,
    status,
    pause() {
      paused = true;
      response?.pause();
    },
    resume() {
      paused = false;
      response?.resume();
    },
    close: () => request.destroy(),
  };
}

function parseBlock(block: string): ReadEvent {
  const fields = new Map(
    block.split('\n').map((line) => {
      const at = line.indexOf(': ');
      return [line.slice(0, at), line.slice(at + 2)] as const;
    }),
  );
  return {
    id: fields.get('id'),
    type: fields.get('event') ?? '',
    data: JSON.parse(fields.get('data') ?? '{}') as Record<string, unknown>,
  };
}
