import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../github/until.js';
import { headerBlock } from '../wire/header-block.js';
import { FLAG, FRAME, frame, messageFrame } from '../wire/http2-frames.js';
import { openVmStream, type VmStream } from './vm-stream.js';

const MESSAGE = Buffer.alloc(1_000, 'm');
let server: Http2Server | undefined;
let stream: VmStream | undefined;

afterEach(async () => {
  stream?.close();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

interface Ground {
  readonly received: string[];
  readonly ends: string[];
  served(): ServerHttp2Stream | undefined;
}

/** A server of Node's own, which keeps the rules of HTTP/2 and ends connections that do not. */
async function open(initialWindowSize: number): Promise<Ground> {
  let served: ServerHttp2Stream | undefined;
  const received: string[] = [];
  const ends: string[] = [];
  server = createServer({ settings: { initialWindowSize } });
  // The client leaves without a word.
  server.on('sessionError', () => undefined);
  server.on('stream', (incoming, headers) => {
    served = incoming;
    incoming.on('error', () => undefined);
    received.push(
      `${String(headers[':method'])} ${String(headers[':path'])} ${String(headers.authorization)}`,
    );
    incoming.respond({ ':status': 200 });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  stream = openVmStream({
    host: '127.0.0.1',
    port,
    headerBlock: headerBlock({
      scheme: 'http',
      authority: `127.0.0.1:${port}`,
      path: '/s/m',
      token: 'secret',
    }),
    onMessage: (bytes, start, end) => received.push(bytes.toString('latin1', start, end)),
    onEnd: (reason) => ends.push(reason),
  });
  await until('the server has the request', () => served);
  return { received, ends, served: () => served };
}

describe('a stream of a simulated VM', () => {
  it('is a request that a server of Node understands, with its credential', async () => {
    const { received } = await open(65_535);
    expect(received).toEqual(['POST /s/m Bearer secret']);
  });

  it('sends no more than the window of its peer takes, and the rest when it is opened', async () => {
    const { ends, served } = await open(4_000);
    // The window that the server has announced holds from its settings on, which are taken before what follows.
    served()?.write(messageFrame(Buffer.from('settled')).subarray(9));
    let bytes = 0;
    for (let count = 0; count < 50; count += 1) stream?.send(messageFrame(MESSAGE), 1);
    served()?.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await until('all is there', () => bytes === 50 * 1_005);
    expect(ends).toEqual([]);
  });

  it('pays back what it was sent, and answers pings, so that a server can go on for long', async () => {
    const { received, served } = await open(65_535);
    const payload = messageFrame(MESSAGE).subarray(9);
    for (let count = 0; count < 300; count += 1) served()?.write(payload);
    await until('all is there', () => received.length === 301);
    const session = served()?.session;
    const answered = new Promise<boolean>((resolve) => session?.ping((error) => resolve(error === null)));
    expect(await answered).toBe(true);
  });

  it.each([
    [
      'resets',
      [frame(FRAME.resetStream, 0, 1, Buffer.of(0, 0, 0, 11))],
      'the server reset the stream, code 11',
    ],
    [
      'closes',
      [frame(FRAME.goAway, 0, 0, Buffer.from('0000000000000002abcd', 'hex'))],
      /^the server closed the connection, code 2 /,
    ],
    [
      'ends with a status',
      [frame(FRAME.headers, FLAG.endStream, 1, Buffer.of())],
      'the server ended the stream with a status',
    ],
    ['breaks off', [], 'the connection was closed'],
  ])('that its server %s ends once, with the reason', async (_, frames, reason) => {
    const raw = net.createServer((socket) => {
      socket.once('data', () => socket.end(Buffer.concat(frames)));
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve));
    const ends: string[] = [];
    stream = openVmStream({
      host: '127.0.0.1',
      port: (raw.address() as AddressInfo).port,
      headerBlock: Buffer.of(),
      onMessage: () => undefined,
      onEnd: (why) => ends.push(why),
    });
    await until('it has ended', () => ends.length > 0);
    await new Promise((resolve) => raw.close(resolve));
    expect(ends).toEqual([typeof reason === 'string' ? reason : expect.stringMatching(reason)]);
  });
});
