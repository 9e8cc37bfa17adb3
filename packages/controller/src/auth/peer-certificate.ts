import type { Socket } from 'node:net';
import { TLSSocket, type PeerCertificate } from 'node:tls';

/** Undefined if the connection has none, or none that the controller's CA signed. */
export function certificateOf(socket: Socket): PeerCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const certificate = socket.getPeerCertificate();
  return Object.keys(certificate).length === 0 ? undefined : certificate;
}
