/** HTTP/1.1 as cheap as it can be asked: prepared bytes on connections that stay, and of the answers only the status. */
import net from 'node:net';
import type { Tally, Target } from './attack.js';

export interface RawRequests {
  /** Sends these bytes on a connection that waits for nothing; false if there is none. */
  send(bytes: Buffer): boolean;
}

/** A connection that was cut is opened again at once, one that was refused soon. */
const REFUSED_RETRY_MS = 50;

/** @param name begins the names of what is counted */
export function openRawRequests(
  target: Target['http'],
  connectionCount: number,
  name: string,
  tally: Tally,
): RawRequests {
  const idle: net.Socket[] = [];
  function open(): void {
    const socket = net.connect(target.port, target.host);
    let isUp = false;
    let busy = false;
    let answered = true;
    socket.setNoDelay(true);
    socket.on('connect', () => {
      isUp = true;
      tally.add(`${name}: connections`);
      idle.push(socket);
    });
    socket.on('data', (chunk: Buffer) => {
      const status = /^HTTP\/1\.1 (\d{3})/.exec(chunk.toString('latin1', 0, 20))?.[1];
      if (status === undefined) return;
      tally.add(`${name}: ${status}`);
      answered = true;
      if (busy && !socket.destroyed) {
        busy = false;
        idle.push(socket);
      }
    });
    socket.on('error', () => undefined); // it closes
    socket.on('close', () => {
      const at = idle.indexOf(socket);
      if (at >= 0) idle.splice(at, 1);
      if (!answered) tally.add(`${name}: cut`);
      if (isUp) open();
      else setTimeout(open, REFUSED_RETRY_MS);
    });
    sockets.set(socket, () => {
      busy = true;
      answered = false;
    });
  }
  const sockets = new WeakMap<net.Socket, () => void>();
  for (let count = 0; count < connectionCount; count += 1) open();
  return {
    send(bytes) {
      const socket = idle.pop();
      if (socket === undefined) return false;
      sockets.get(socket)?.();
      socket.write(bytes);
      return true;
    },
  };
}

/** The bytes of a request. @param token undefined = without a credential */
export function requestBytes(method: string, target: string, token?: string, body?: string): Buffer {
  const lines = [`${method} ${target} HTTP/1.1`, 'host: controller'];
  if (token !== undefined) lines.push(`authorization: Bearer ${token}`);
  if (body !== undefined)
    lines.push('content-type: application/json', `content-length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body ?? ''}`);
}
