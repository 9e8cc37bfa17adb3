/** Whether a certificate is of one of our authorities, by what is known now: a connection may be older than that. */
import type { X509Certificate } from 'node:crypto';

/** From and until when, milliseconds since 1970. */
export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Longer chains are none; also of what a peer shows no more is looked at (I12). */
const MAX_DEPTH = 8;

/**
 * A chain from the certificate to an authority that signed itself, as OpenSSL has checked it in the handshake: signatures, names, and
 * that each link may sign and is valid at `nowMs`.
 *
 * @param shown certificates that the peer sent along
 * @returns when the whole chain is valid; undefined = there is none
 */
export function verifyChain(
  certificate: X509Certificate,
  shown: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  nowMs: number,
): Validity | undefined {
  const links = [...authorities, ...shown.slice(0, MAX_DEPTH).filter(({ ca }) => ca)];

  function follow(one: X509Certificate, depth: number): Validity | undefined {
    const own = validityOf(one);
    if (nowMs < own.fromMs || nowMs >= own.untilMs || depth > MAX_DEPTH) return undefined;
    if (authorities.some(({ raw }) => raw.equals(one.raw)) && one.checkIssued(one)) return own;
    for (const issuer of links) {
      if (issuer.raw.equals(one.raw) || !one.checkIssued(issuer) || !one.verify(issuer.publicKey)) continue;
      const rest = follow(issuer, depth + 1);
      if (rest !== undefined)
        return {
          fromMs: Math.max(own.fromMs, rest.fromMs),
          untilMs: Math.min(own.untilMs, rest.untilMs),
        };
    }
    return undefined;
  }

  return follow(certificate, 0);
}

export const validityOf = ({ validFrom, validTo }: X509Certificate): Validity => ({
  fromMs: Date.parse(validFrom),
  untilMs: Date.parse(validTo),
});
