/** Services of nice-grpc on our server, called by nice-grpc's own client, and by one that keeps to nothing. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ClientError,
  Metadata,
  ServerError,
  Status,
  createChannel,
  createClient,
  type CallContext,
  type Channel,
  type Client,
  type ServiceImplementation,
} from 'nice-grpc';
import { createTestLog } from '../test-log.contract.js';
import { createFailureLog, logFailures } from '../services/middleware/log-failures.js';
import { systemClock } from '@mig/common/clock';
import { until } from '@mig/testkit/github/until';
import { startTestServer, type TestServer } from './test-grpc.contract.js';
import { serveImplementation } from './serve-implementation.js';

interface Text {
  readonly text: string;
}
const fromText = ({ text }: Text): Uint8Array => {
  if (text === 'cannot be encoded') throw new Error('no');
  return Buffer.from(text);
};
const toText = (bytes: Uint8Array): Text => {
  if (bytes[0] === 0xff) throw new Error('no');
  return { text: Buffer.from(bytes).toString() };
};
const method = <Q extends boolean, S extends boolean>(name: string, requestStream: Q, responseStream: S) => ({
  path: `/t.Texts/${name}`,
  requestStream,
  responseStream,
  requestSerialize: ({ text }: Text) => Buffer.from(text),
  requestDeserialize: toText,
  responseSerialize: fromText,
  responseDeserialize: toText,
  options: {},
});
const definition = {
  one: method('One', false, false),
  collect: method('Collect', true, false),
  count: method('Count', false, true),
  talk: method('Talk', true, true),
} as const;

/** What the implementation saw of the last call. */
const seen = {
  yielded: 0,
  aborted: false,
  failure: undefined as unknown,
  context: undefined as CallContext | undefined,
};

const implementation: ServiceImplementation<typeof definition> = {
  async one({ text }, context) {
    seen.context = context;
    context.header.set('header', 'h');
    context.trailer.set('trailer-bin', Buffer.from([1, 2]));
    if (text === 'wait') await untilAborted(context.signal);
    if (text === 'refuse') throw new ServerError(Status.ALREADY_EXISTS, 'there is 100 % of "ü"');
    if (text === 'fail') throw new Error('the password is 1234');
    return { text };
  },
  async collect(texts) {
    let all = '';
    for await (const { text } of texts) all += text;
    return { text: all };
  },
  async *count({ text }, { signal }) {
    try {
      for (let n = 0; n < Number(text); n += 1) {
        if (signal.aborted) return;
        yield { text: `${n}:${'x'.repeat(1_000)}` };
        seen.yielded = n + 1;
      }
      if (text === '3') throw new ServerError(Status.OUT_OF_RANGE, 'no more than three');
    } finally {
      seen.aborted = signal.aborted;
    }
  },
  async *talk(texts, context) {
    context.header.set('header', 'h');
    context.sendHeader();
    try {
      for await (const { text } of texts) {
        yield { text: `${text}!` };
        if (text === 'bye') return;
      }
    } catch (error) {
      seen.failure = error;
      throw error;
    } finally {
      seen.aborted = context.signal.aborted;
    }
  },
};

async function untilAborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  signal.throwIfAborted();
}

const log = createTestLog();
let test: TestServer;
let channel: Channel;
let client: Client<typeof definition>;
beforeAll(async () => {
  test = await startTestServer(
    serveImplementation(definition, implementation, logFailures(createFailureLog(log.logger, systemClock))),
  );
  channel = createChannel(`127.0.0.1:${test.port}`);
  client = createClient(definition, channel);
});
afterAll(async () => {
  channel.close();
  await test.dispose();
});
beforeEach(() => {
  Object.assign(seen, { yielded: 0, aborted: false, failure: undefined, context: undefined });
});

async function* texts(...all: string[]): AsyncIterable<Text> {
  for (const text of all) yield { text };
}

async function allOf(answers: AsyncIterable<Text>): Promise<string[]> {
  const all: string[] = [];
  for await (const { text } of answers) all.push(text);
  return all;
}

describe('a service of nice-grpc', () => {
  it('is called in all four ways', async () => {
    expect(await client.one({ text: 'a' })).toEqual({ text: 'a' });
    expect(await client.collect(texts('a', 'b', 'c'))).toEqual({ text: 'abc' });
    expect((await allOf(client.count({ text: '2' }))).map((answer) => answer.slice(0, 2))).toEqual([
      '0:',
      '1:',
    ]);
    expect(await allOf(client.talk(texts('a', 'b')))).toEqual(['a!', 'b!']);
    expect(await client.one({ text: '' })).toEqual({ text: '' });
    const large = { text: 'x'.repeat(1_048_576) };
    expect(await client.one(large)).toEqual(large);
  });

  it('has the metadata, and says its own', async () => {
    let header: Metadata | undefined;
    let trailer: Metadata | undefined;
    await client.one(
      { text: 'a' },
      {
        metadata: Metadata({ text: ['x', 'y'], 'raw-bin': [Buffer.from([0]), Buffer.from([255])] }),
        onHeader: (received) => (header = received),
        onTrailer: (received) => (trailer = received),
      },
    );
    const { metadata, peer } = seen.context ?? {};
    expect(metadata?.get('text')).toBe('x, y');
    expect(metadata?.getAll('raw-bin')).toEqual([Buffer.from([0]), Buffer.from([255])]);
    expect(metadata?.has('te')).toBe(false);
    expect(peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect([header?.get('header'), trailer?.get('trailer-bin')]).toEqual(['h', Buffer.from([1, 2])]);
  });

  it('sends its header before it has a message', async () => {
    const raw = test.call('/t.Texts/Talk');
    const headers = await new Promise((resolve) => raw.stream.once('response', resolve));
    expect(headers).toMatchObject({ header: 'h' });
    raw.stream.close();
  });

  it('refuses with a status, its text and the trailer; an unexpected error keeps its text to the log', async () => {
    let trailer: Metadata | undefined;
    const refused = client.one({ text: 'refuse' }, { onTrailer: (received) => (trailer = received) });
    await expect(refused).rejects.toMatchObject({
      code: Status.ALREADY_EXISTS,
      details: 'there is 100 % of "ü"',
    });
    expect(trailer?.get('trailer-bin')).toEqual(Buffer.from([1, 2]));
    await expect(client.one({ text: 'fail' })).rejects.toMatchObject({
      code: Status.INTERNAL,
      details: 'internal error of the controller; its log has the cause',
    });
    expect(log.text()).toContain('the password is 1234');
    const answers: string[] = [];
    const failed = (async () => {
      for await (const { text } of client.count({ text: '3' })) answers.push(text);
    })();
    await expect(failed).rejects.toEqual(
      new ClientError('/t.Texts/Count', Status.OUT_OF_RANGE, 'no more than three'),
    );
    expect(answers.length).toBe(3);
  });

  it('learns that the client went away, or that its deadline passed', async () => {
    const leaving = new AbortController();
    const waiting = client.one({ text: 'wait' }, { signal: leaving.signal });
    await until('it is called', () => seen.context !== undefined);
    leaving.abort();
    await expect(waiting).rejects.toThrow();
    await until('it learns of it', () => seen.context?.signal.aborted === true);

    const talk = test.call('/t.Texts/Talk', { 'grpc-timeout': '50m' });
    expect(await talk.ended).toMatchObject({ status: Status.DEADLINE_EXCEEDED });
    await until('it learns of it', () => seen.aborted);
    expect(seen.failure).toMatchObject({ name: 'AbortError' });
  });

  it('may end before the client does', async () => {
    const raw = test.call('/t.Texts/Talk');
    for (const text of ['a', 'bye', 'too late']) raw.send(Buffer.from(text));
    expect((await raw.ended).status).toBe(Status.OK);
    expect(raw.messages.map(String)).toEqual(['a!', 'bye!']);
  });

  it('is read as fast as it takes, and asked for as much as the client reads', async () => {
    const raw = test.call('/t.Texts/Count');
    raw.stream.pause();
    raw.send(Buffer.from('2000'));
    raw.stream.end();
    await until('it is held back', async () => {
      const before = seen.yielded;
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      return before > 0 && seen.yielded === before;
    });
    expect(seen.yielded).toBeLessThan(1_000);
    raw.stream.resume();
    expect((await raw.ended).status).toBe(Status.OK);
    expect(raw.messages.length).toBe(2_000);
  });

  it.each([
    ['no message', [], Status.UNIMPLEMENTED, 'no request message came for /t.Texts/One'],
    ['two messages', ['a', 'b'], Status.UNIMPLEMENTED, 'more than one request message came for /t.Texts/One'],
    ['one that is no message', ['\u00ff'], Status.INVALID_ARGUMENT, 'a message could not be decoded'],
    ['one whose answer is none', ['cannot be encoded'], Status.INTERNAL, 'Error serializing response'],
  ])('%s for one call ends it', async (_, messages, status, message) => {
    const raw = test.call('/t.Texts/One');
    for (const text of messages) raw.send(Buffer.from(text, 'latin1'));
    raw.stream.end();
    expect(await raw.ended).toMatchObject({ status, message });
  });
});
