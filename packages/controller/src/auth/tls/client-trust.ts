/**
 * Whether the client certificate of a connection counts now. The handshake has checked it once; a connection is kept for long, and
 * meanwhile the certificate may expire, or its authority be taken out of `tls.client_ca_file`: so it is asked again with every request,
 * and with every call that is opened.
 */
import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket, type PeerCertificate } from 'node:tls';
import type { Clock } from '@mig/common/clock';
import type { ClientCertificates } from './servers.js';
import type { TlsFiles } from './tls-files.js';
import { verifyChain, type Validity } from './verify-chain.js';

export interface ClientTrust {
  /** Undefined if the connection has none, or none that counts now. */
  certificateOf(socket: Socket): PeerCertificate | undefined;
  /** May the connection be used? Where all have to show a certificate: only with one that counts now. */
  admits(socket: Socket): boolean;
}

/** What was found of one connection, for as long as the authorities are the same. */
interface Verdict extends Validity {
  readonly authorities: readonly X509Certificate[];
}

export function createClientTrust(
  { files, clock }: { readonly files: Pick<TlsFiles, 'current'>; readonly clock: Pick<Clock, 'now'> },
  { clientCertificates }: { readonly clientCertificates: ClientCertificates },
): ClientTrust {
  const verdicts = new WeakMap<TLSSocket, Verdict>();

  function counts(socket: TLSSocket): boolean {
    const { authorities } = files.current;
    const nowMs = clock.now();
    const known = verdicts.get(socket);
    if (known?.authorities === authorities && known.fromMs <= nowMs && nowMs < known.untilMs) return true;
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return false;
    const validity = verifyChain(certificate, issuersOf(certificate), authorities, nowMs);
    if (validity === undefined) verdicts.delete(socket);
    else verdicts.set(socket, { ...validity, authorities });
    return validity !== undefined;
  }

  function certificateOf(socket: Socket): PeerCertificate | undefined {
    if (clientCertificates === 'none' || !(socket instanceof TLSSocket)) return undefined;
    return socket.authorized && counts(socket) ? socket.getPeerCertificate() : undefined;
  }

  return {
    certificateOf,
    admits: (socket) => clientCertificates !== 'required' || certificateOf(socket) !== undefined,
  };
}

/** What the peer sent along with it. */
function issuersOf(certificate: X509Certificate): X509Certificate[] {
  const issuers: X509Certificate[] = [];
  const isNew = (one: X509Certificate): boolean => issuers.every(({ raw }) => !raw.equals(one.raw));
  for (let one = certificate.issuerCertificate; one !== undefined && isNew(one); one = one.issuerCertificate)
    issuers.push(one);
  return issuers;
}
