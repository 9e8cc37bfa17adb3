/** The server as clients see it that speak HTTP/2 and keep to nothing else. */
import http2 from 'node:http2';
import net from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Metadata, Status } from 'nice-grpc';
import { until } from '@mig/testkit/github/until';
import type { Call, CallListener, OpenCall } from './call.js';
import { createHttp2GrpcServer } from './http2-server.js';
import {
  TEST_OPTIONS,
  openRawCall,
  rawFrame,
  startTestServer,
  type TestServer,
} from './test-grpc.contract.js';

interface Served {
  readonly call: Call;
  readonly messages: string[];
  halfClosed: boolean;
  cancelled: boolean;
  drained: number;
}

/** Every call, and what came of it. */
const served: Served[] = [];
const last = (): Served => {
  const one = served.at(-1);
  if (one === undefined) throw new Error('no call has come');
  return one;
};

function serve(call: Call, fields: Partial<CallListener> = {}): CallListener {
  const one: Served = { call, messages: [], halfClosed: false, cancelled: false, drained: 0 };
  served.push(one);
  return {
    onMessage: (bytes, start, end) => void one.messages.push(bytes.toString('utf8', start, end)),
    onHalfClose: () => void (one.halfClosed = true),
    onCancel: () => void (one.cancelled = true),
    onDrain: () => void (one.drained += 1),
    ...fields,
  };
}

/** Says nothing by itself. */
const quiet: OpenCall = (call) => serve(call);
/** Sends back what comes, and ends when the client does. */
const echo: OpenCall = (call) =>
  serve(call, {
    onMessage: (bytes, start, end) => void call.send(bytes.subarray(start, end)),
    onHalfClose: () => call.end(Status.OK),
  });
const METHODS = [
  ['/t/Quiet', quiet],
  ['/t/Echo', echo],
] as const;

let test: TestServer | undefined;
async function start(...[options]: [Parameters<typeof startTestServer>[1]?]): Promise<TestServer> {
  test = await startTestServer(METHODS, options);
  return test;
}
afterEach(async () => {
  await test?.dispose();
  test = undefined;
  served.length = 0;
});

describe('what is no call', () => {
  it.each([
    ['another content type', { 'content-type': 'application/json' }, 415],
    ['another method', { ':method': 'GET' }, 405],
  ])('%s is answered in the words of HTTP', async (_, headers, status) => {
    const { call } = await start();
    const { headers: received } = await call('/t/Echo', headers).ended;
    expect(received[':status']).toBe(status);
    expect(served).toEqual([]);
  });

  it('a method that nobody serves is UNIMPLEMENTED, in headers alone', async () => {
    const { call } = await start();
    const end = await call('/t/Nothing').ended;
    expect(end).toMatchObject({
      status: Status.UNIMPLEMENTED,
      message: 'The server does not implement the method /t/Nothing',
      trailers: {},
      rstCode: http2.constants.NGHTTP2_NO_ERROR,
    });
  });

  it('a deadline that is none is INTERNAL', async () => {
    const { call } = await start();
    expect(await call('/t/Echo', { 'grpc-timeout': 'soon' }).ended).toMatchObject({
      status: Status.INTERNAL,
      message: 'Invalid grpc-timeout value "soon"',
    });
  });
});

describe('a call', () => {
  it('carries messages both ways, and its status in trailers', async () => {
    const { call } = await start();
    const raw = call('/t/Echo');
    raw.send(Buffer.from('one'));
    raw.stream.write(Buffer.concat([rawFrame(Buffer.from('two')), rawFrame(Buffer.alloc(0))]));
    raw.stream.end();
    const end = await raw.ended;
    expect(raw.messages.map(String)).toEqual(['one', 'two', '']);
    expect(end.headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'grpc-accept-encoding': 'identity,deflate,gzip',
    });
    expect(end).toMatchObject({ status: Status.OK, trailers: { 'grpc-status': '0' } });
  });

  it('that the server ends first is closed without an error, though the client has not ended its half', async () => {
    const { call } = await start();
    const raw = call('/t/Quiet');
    raw.send(Buffer.from('x'));
    await until('it has come', () => served[0]?.messages.length === 1);
    last().call.send(Buffer.from('bye'));
    last().call.end(Status.ABORTED, 'enough: 100 %\n', Metadata({ why: 'x', 'raw-bin': Buffer.from([1]) }));
    const end = await raw.ended;
    expect(end).toMatchObject({
      status: Status.ABORTED,
      message: 'enough: 100 %\n',
      trailers: { why: 'x', 'raw-bin': 'AQ' },
      rstCode: http2.constants.NGHTTP2_NO_ERROR,
    });
    expect(raw.messages.map(String)).toEqual(['bye']);
    expect(last().cancelled).toBe(false);
  });

  it('that the client resets, or whose connection breaks, is cancelled', async () => {
    const { call } = await start();
    const reset = call('/t/Quiet');
    await until('it has come', () => served.length === 1);
    reset.stream.close(http2.constants.NGHTTP2_CANCEL);
    await until('it is cancelled', () => last().cancelled);
    const broken = call('/t/Quiet');
    await until('it has come', () => served.length === 2);
    broken.session.destroy();
    await until('it is cancelled', () => last().cancelled);
    last().call.send(Buffer.from('to nobody'));
    last().call.end(Status.OK);
    expect(last().call.closed).toBe(true);
  });

  it('whose deadline passes ends with DEADLINE_EXCEEDED, and is cancelled', async () => {
    const { call } = await start();
    const raw = call('/t/Quiet', { 'grpc-timeout': '50m' });
    expect(await raw.ended).toMatchObject({ status: Status.DEADLINE_EXCEEDED });
    expect(last().cancelled).toBe(true);
  });

  it('shows who calls, and what was sent with it', async () => {
    const { call } = await start();
    call('/t/Quiet', { authorization: 'Bearer x', 'some-bin': 'AQ==' });
    await until('it has come', () => served.length === 1);
    const { call: one } = last();
    expect(one.connection.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(one.header('authorization')).toBe('Bearer x');
    expect(one.metadata().get('some-bin')).toEqual(Buffer.from([1]));
    one.forgetHeaders();
    expect(one.header('authorization')).toBeUndefined();
  });
});

describe('a message', () => {
  it('of exactly the largest size is taken; one byte more is RESOURCE_EXHAUSTED, and harms no other call', async () => {
    const { call } = await start({ maxMessageBytes: 100_000 });
    const other = call('/t/Echo');
    const raw = call('/t/Echo');
    raw.send(Buffer.alloc(100_000, 1));
    raw.send(Buffer.alloc(100_001, 1));
    expect(await raw.ended).toMatchObject({
      status: Status.RESOURCE_EXHAUSTED,
      message: 'Received message larger than max (100001 vs. 100000)',
    });
    expect(last().cancelled).toBe(true);
    other.send(Buffer.from('still there'));
    await until('it is answered', () => other.messages.length === 1);
  });

  it('that does not end with its stream is INTERNAL', async () => {
    const { call } = await start();
    const raw = call('/t/Echo');
    raw.stream.end(rawFrame(Buffer.from('abc')).subarray(0, 6));
    expect(await raw.ended).toMatchObject({ status: Status.INTERNAL });
  });

  it('that is compressed is read, if the encoding is one of ours', async () => {
    const { call } = await start();
    const raw = call('/t/Echo', { 'grpc-encoding': 'gzip' });
    raw.send(gzipSync('squeezed'), { compressed: true });
    raw.send(Buffer.from('plain'));
    await until('both are answered', () => raw.messages.length === 2);
    expect(raw.messages.map(String)).toEqual(['squeezed', 'plain']);
  });

  it.each<[string, string | undefined, Buffer, Status]>([
    ['in another encoding is UNIMPLEMENTED', 'snappy', Buffer.from('x'), Status.UNIMPLEMENTED],
    ['and nobody says how is INTERNAL', undefined, Buffer.from('x'), Status.INTERNAL],
    ['and is damaged is INTERNAL', 'gzip', Buffer.from('no gzip'), Status.INTERNAL],
    [
      'and would come to more than may be is RESOURCE_EXHAUSTED (I12)',
      'gzip',
      gzipSync(Buffer.alloc(2_000_000)),
      Status.RESOURCE_EXHAUSTED,
    ],
  ])('that is compressed %s', async (_, encoding, bytes, status) => {
    const { call } = await start();
    const raw = call('/t/Echo', encoding === undefined ? {} : { 'grpc-encoding': encoding });
    raw.send(bytes, { compressed: true });
    const end = await raw.ended;
    expect(end.status).toBe(status);
    expect(end.headers['grpc-accept-encoding']).toBe('identity,deflate,gzip');
  });
});

describe('flow control', () => {
  it('holds a client back whose messages are not taken, and lets it go on', async () => {
    const { call } = await start();
    const raw = call('/t/Quiet');
    await until('it has come', () => served.length === 1);
    last().call.pause();
    const message = Buffer.alloc(10_000, 'x');
    let accepted = 0;
    for (let count = 0; count < 200; count += 1) raw.stream.write(rawFrame(message), () => (accepted += 1));
    const before = await standsStill(() => accepted);
    expect(before).toBeLessThan(100);
    expect(last().messages.length).toBeLessThan(20);
    last().call.resume();
    await until('all have come', () => last().messages.length === 200);
  });

  it('tells who sends more than the client reads, and when there is room again', async () => {
    const { call } = await start();
    const raw = call('/t/Quiet');
    await until('it has come', () => served.length === 1);
    raw.stream.pause();
    const message = Buffer.alloc(10_000, 'x');
    let sent = 1;
    while (last().call.send(message)) sent += 1;
    expect(sent).toBeLessThan(100);
    for (; sent < 40; sent += 1) last().call.send(message);
    expect(last().drained).toBe(0);
    raw.stream.resume();
    await until('there is room', () => last().drained === 1);
    last().call.end(Status.OK);
    expect((await raw.ended).status).toBe(Status.OK);
    expect(raw.messages.length).toBe(40);
  });
});

describe('a connection', () => {
  it('may have so many calls at a time: another has to wait for the end of one', async () => {
    const { call } = await start({ maxStreams: 2 });
    const open = [call('/t/Quiet'), call('/t/Echo')];
    await until('two have come', () => served.length === 2);
    const third = call('/t/Echo');
    open[1]?.send(Buffer.from('x'));
    await until('the second is answered', () => open[1]?.messages.length === 1);
    expect(served.length).toBe(2);
    open[1]?.stream.end();
    await until('the third has come', () => served.length === 3);
    expect(third.stream.closed).toBe(false);
  });

  it('with headers that are too large loses that call (I12)', async () => {
    const { call } = await start({ maxHeaderBytes: 4_096 });
    const first = call('/t/Echo');
    first.stream.end();
    await first.ended; // the limit is known to both from here on
    const large = await call('/t/Echo', { large: 'x'.repeat(5_000) }).ended;
    expect(large.status).toBeNaN();
    expect(served.length).toBe(1);
  });

  it('that is silent and does not answer is cut; one that answers stays', async () => {
    const { port, call } = await start({ keepaliveMs: 100, keepaliveTimeoutMs: 100 });
    const live = call('/t/Quiet');
    // The preface and SETTINGS, by hand: it acknowledges nothing.
    const dead = net.connect(port, '127.0.0.1');
    dead.on('error', () => undefined).resume();
    dead.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
    await new Promise((resolve) => dead.once('close', resolve));
    expect(live.stream.closed).toBe(false);
    live.send(Buffer.from('still here'));
    await until('it is heard', () => last().messages.length === 1);
  });

  it('that speaks no HTTP/2 is cut', async () => {
    const { port } = await start();
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
  });
});

describe('the end of the server', () => {
  it('lets calls that are there end, and takes no new ones', async () => {
    const { server, port, call } = await start();
    const raw = call('/t/Echo');
    raw.send(Buffer.from('a'));
    await until('it is answered', () => raw.messages.length === 1);
    const closed = server.close();
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => undefined);
    await new Promise((resolve) => session.once('close', resolve));
    raw.send(Buffer.from('b'));
    raw.stream.end();
    expect((await raw.ended).status).toBe(Status.OK);
    expect(raw.messages.map(String)).toEqual(['a', 'b']);
    raw.session.close();
    await closed;
  });

  it('is at once when what is left is cut', async () => {
    const { server, port } = await start();
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => undefined);
    const raw = openRawCall(session, '/t/Quiet');
    await until('it has come', () => served.length === 1);
    const closed = server.close();
    server.destroy();
    await closed;
    await raw.ended;
    expect(last().cancelled).toBe(true);
  });

  it('rejects a port that is taken', async () => {
    const { port } = await start();
    const other = createHttp2GrpcServer(new Map(), TEST_OPTIONS);
    await expect(other.listen('127.0.0.1', port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await other.close();
  });
});

/** The value when it has not changed for a while: what cannot be waited for otherwise is that nothing happens. */
async function standsStill(value: () => number): Promise<number> {
  for (let before = -1, same = 0; ;) {
    if (value() === before) same += 1;
    else same = 0;
    if (same === 20) return before;
    before = value();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
