/**
 * One simulated VM's connection and its one stream, on a socket, as cheap as it can be: a server with one core must be the one
 * that is busy, not its load.
 *
 * It keeps HTTP/2's rules: settings and pings are answered, nothing is sent beyond the peer's windows, and the peer's sending is
 * paid back. A stream that ends says why to `onEnd`.
 */
import net from 'node:net';
import tls from 'node:tls';
import { createFrameReader, createMessageReader, dataRange } from '../wire/frame-reader.js';
import {
  DEFAULT_WINDOW_BYTES,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  SETTING_INITIAL_WINDOW,
  opening,
  pingAck,
  settingsAck,
  windowUpdates,
} from '../wire/http2-frames.js';

export interface VmStream {
  /** DATA frames, each of them whole; they wait for the peer's windows, all together. */
  send(frames: Buffer, frameCount: number): void;
  close(): void;
}

export interface VmStreamOptions {
  readonly host: string;
  readonly port: number;
  /** The authority that the peer's certificate is held against. Default: no TLS. */
  readonly ca?: string | undefined;
  readonly headerBlock: Buffer;
  readonly onMessage: (bytes: Buffer, start: number, end: number) => void;
  /** Once, when it has ended, whoever ended it. */
  readonly onEnd: (reason: string) => void;
}

/** The peer is paid back when it has used half of its window. */
const PAY_BACK_BYTES = Math.floor(DEFAULT_WINDOW_BYTES / 2);
/** All sockets read into the same memory: what is read is taken in before the next read. */
const READ_BUFFER = Buffer.allocUnsafe(64 * 1024);

export function openVmStream(options: VmStreamOptions): VmStream {
  let connectionWindow = DEFAULT_WINDOW_BYTES;
  let streamWindow = DEFAULT_WINDOW_BYTES;
  let initialWindow = DEFAULT_WINDOW_BYTES;
  let received = 0;
  let ended = false;
  let reason = 'the connection was closed';
  const waiting: { readonly frames: Buffer; readonly payloadBytes: number }[] = [];

  const readMessages = createMessageReader(options.onMessage);
  const readFrames = createFrameReader((type, flags, bytes, start, end) => {
    switch (type) {
      case FRAME.data: {
        payBack(end - start);
        const [from, to] = dataRange(flags, bytes, start, end);
        readMessages(bytes, from, to);
        if ((flags & FLAG.endStream) !== 0) finish('the server ended the stream');
        return;
      }
      case FRAME.headers:
        if ((flags & FLAG.endStream) !== 0) finish('the server ended the stream with a status');
        return;
      case FRAME.resetStream:
        finish(`the server reset the stream, code ${bytes.readUInt32BE(start)}`);
        return;
      case FRAME.goAway:
        reason = `the server closed the connection, code ${bytes.readUInt32BE(start + 4)} ${bytes.toString('latin1', start + 8, end)}`;
        return;
      case FRAME.settings:
        if ((flags & FLAG.ack) !== 0) return;
        applySettings(bytes, start, end);
        socket.write(settingsAck());
        flush();
        return;
      case FRAME.ping:
        if ((flags & FLAG.ack) === 0) socket.write(pingAck(bytes.subarray(start, end)));
        return;
      case FRAME.windowUpdate: {
        const increment = bytes.readUInt32BE(start) & 0x7fffffff;
        const isStream = bytes.readUInt32BE(start - 4) !== 0;
        if (isStream) streamWindow += increment;
        else connectionWindow += increment;
        flush();
      }
    }
  });

  function applySettings(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at + 6 <= end; at += 6) {
      if (bytes.readUInt16BE(at) !== SETTING_INITIAL_WINDOW) continue;
      const window = bytes.readUInt32BE(at + 2);
      streamWindow += window - initialWindow;
      initialWindow = window;
    }
  }

  function payBack(byteCount: number): void {
    received += byteCount;
    if (received < PAY_BACK_BYTES) return;
    socket.write(windowUpdates(received));
    received = 0;
  }

  function flush(): void {
    for (;;) {
      const [first] = waiting;
      if (first === undefined || first.payloadBytes > Math.min(streamWindow, connectionWindow)) return;
      streamWindow -= first.payloadBytes;
      connectionWindow -= first.payloadBytes;
      socket.write(first.frames);
      waiting.shift();
    }
  }

  function finish(why: string): void {
    if (ended) return;
    ended = true;
    socket.destroy();
    options.onEnd(why);
  }

  const socket = connect(options, (chunk, length) => {
    if (!ended) readFrames(chunk, length);
  });
  socket.setNoDelay(true);
  socket.on('error', (error) => (reason = error.message));
  socket.once('close', () => finish(reason));
  socket.write(opening(options.headerBlock));

  return {
    send(frames, frameCount) {
      if (ended) return;
      waiting.push({ frames, payloadBytes: frames.length - frameCount * FRAME_HEADER_BYTES });
      flush();
    },
    close: () => finish('closed here'),
  };
}

function connect(
  { host, port, ca }: VmStreamOptions,
  onRead: (chunk: Buffer, length: number) => void,
): net.Socket {
  if (ca === undefined) {
    const callback = (length: number): boolean => {
      onRead(READ_BUFFER, length);
      return true;
    };
    return net.connect({ host, port, onread: { buffer: READ_BUFFER, callback } });
  }
  const socket = tls.connect({ host, port, ca, ALPNProtocols: ['h2'] });
  socket.on('data', (chunk: Buffer) => onRead(chunk, chunk.length));
  return socket;
}
