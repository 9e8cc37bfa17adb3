/**
 * Every secret that passes between GitHub and those who talk to it, read off the wire: tokens, JIT configurations, credentials
 * of runners and of requests. None of them may be found anywhere else afterwards (I8).
 */
import { randomBytes } from 'node:crypto';

export interface SecretTap {
  /** To be called with what passes. */
  onData(chunk: Buffer): void;
  /** A new secret of ours, which is noted too. */
  invent(): string;
  /** What was seen, with what it is. */
  list(): ReadonlyMap<string, string>;
}

/** An answer may come in two pieces: so much of what passed is looked at again. */
const OVERLAP = 8_192;
const PATTERNS = [
  { what: 'token', pattern: /"token":"([^"]+)"/g },
  { what: 'credential of a runner', pattern: /"credential":"([^"]+)"/g },
  { what: 'JIT configuration', pattern: /"encoded_jit_config":"([^"]+)"/g },
  { what: 'credential of a request', pattern: /\r\nauthorization: (?:bearer|token|remoteauth) (\S+)\r\n/gi },
] as const;

export function createSecretTap(): SecretTap {
  const secrets = new Map<string, string>();
  let before = '';
  return {
    onData(chunk) {
      const text = before + chunk.toString('latin1');
      for (const { what, pattern } of PATTERNS)
        for (const [, secret] of text.matchAll(pattern))
          if (secret !== undefined && !secrets.has(secret)) secrets.set(secret, what);
      before = text.slice(-OVERLAP);
    },
    invent() {
      const secret = `stand-in-${randomBytes(16).toString('hex')}`;
      secrets.set(secret, 'token of the REST API');
      return secret;
    },
    list: () => secrets,
  };
}
