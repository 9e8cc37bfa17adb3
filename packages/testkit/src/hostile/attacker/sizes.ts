/** Too large. */
import net from 'node:net';
import { atRate, type Attack, type Tally, type Target } from './attack.js';
import { helloOf, eventOf, frame, openCall, openSession } from './raw-grpc.js';
import { openRawRequests, requestBytes } from './raw-http.js';

const HUGE_BYTES = 100 * 2 ** 20;
const CHUNK = Buffer.alloc(64 * 1_024, 0x61);
const SLOW_MS = 100;
const AT_ONCE = 4;

export const hugeEvents: Attack = (target, tally) => {
  const { vmId, session } = target;
  const head = (more: string, token = `authorization: Bearer ${session}\r\n`): string =>
    `POST /api/v1/vms/${vmId}/events HTTP/1.1\r\nhost: controller\r\n${token}content-type: application/json\r\n${more}\r\n\r\n`;
  const length = `content-length: ${HUGE_BYTES}`;
  const chunked = 'transfer-encoding: chunked';
  for (let count = 0; count < AT_ONCE; count += 1) {
    upload(target, tally, 'with its length', head(length), CHUNK);
    upload(target, tally, 'in chunks', head(chunked), asChunk(CHUNK));
    upload(target, tally, 'in chunks, from nobody', head(chunked, ''), asChunk(CHUNK));
    upload(target, tally, 'slowly', head('content-length: 1000000'), CHUNK.subarray(0, 100), SLOW_MS);
    message(target, tally);
  }
  // As large as is allowed, and hard to read.
  const data = Array.from({ length: 80_000 }, (_, index) => [`k${index}`, [[]]]);
  const hard = requestBytes(
    'POST',
    `/api/v1/vms/${vmId}/events`,
    session,
    JSON.stringify({ type: 'note', pool_id: target.poolId, data: Object.fromEntries(data) }),
  );
  const requests = openRawRequests(target.http, AT_ONCE, 'just allowed', tally);
  atRate(200, () => requests.send(hard));
  fatEvents(target, tally);
};

const asChunk = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

/** Writes as fast as it is taken, or a piece now and then; when it is cut, again. */
function upload(
  target: Target,
  tally: Tally,
  name: string,
  head: string,
  piece: Buffer,
  everyMs?: number,
): void {
  const socket = net.connect(target.http.port, target.http.host);
  let left = HUGE_BYTES;
  let timer: NodeJS.Timeout | undefined;
  function pump(): void {
    while (left > 0 && !socket.destroyed) {
      left -= piece.length;
      tally.add('bytes', piece.length);
      if (!socket.write(piece)) return;
    }
  }
  socket.on('connect', () => {
    socket.write(head);
    if (everyMs === undefined) {
      socket.on('drain', pump);
      pump();
    } else timer = setInterval(() => socket.write(piece), everyMs);
  });
  socket.on('data', (chunk: Buffer) => {
    const status = /^HTTP\/1\.1 (\d{3})/.exec(chunk.toString('latin1', 0, 20))?.[1];
    if (status !== undefined) tally.add(`${name}: ${status}`);
  });
  socket.on('error', () => undefined); // it closes
  socket.on('close', () => {
    clearInterval(timer);
    tally.add(`${name}: over`);
    upload(target, tally, name, head, piece, everyMs);
  });
}

/** One message of 100 MB on a stream that is welcome. */
function message(target: Target, tally: Tally): void {
  const session = openSession(target.grpc);
  const call = openCall(session, 'gRPC', tally, { token: target.session });
  call.write(helloOf(target));
  call.write(frame(CHUNK, HUGE_BYTES));
  let left = HUGE_BYTES;
  const pump = (): void => {
    while (left > 0 && !call.destroyed) {
      left -= CHUNK.length;
      tally.add('bytes', CHUNK.length);
      if (!call.write(CHUNK)) return;
    }
  };
  call.on('drain', pump);
  pump();
  let isOver = false;
  const again = (): void => {
    if (isOver) return;
    isOver = true;
    session.destroy();
    setImmediate(() => message(target, tally));
  };
  call.on('end', again);
  call.on('close', again);
  session.on('close', again);
}

/** Events as large as they may be, as fast as they are taken. */
function fatEvents(target: Target, tally: Tally): void {
  const session = openSession(target.grpc);
  const call = openCall(session, 'gRPC, just allowed', tally, { token: target.session });
  call.write(helloOf(target));
  const event = eventOf(target, 0, 'x'.repeat(250_000));
  let isOver = false;
  const pump = (): void => {
    while (!isOver && !call.destroyed) {
      tally.add('bytes', event.length);
      if (!call.write(event)) return;
    }
  };
  call.on('drain', pump);
  pump();
  const again = (): void => {
    if (isOver) return;
    isOver = true;
    session.destroy();
    setImmediate(() => fatEvents(target, tally));
  };
  call.on('end', again);
  call.on('close', again);
  session.on('close', again);
}
