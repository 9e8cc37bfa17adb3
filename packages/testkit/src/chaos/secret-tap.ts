/**
 * Every secret that passes between GitHub and those who talk to it, read off the wire: registration tokens and the credentials
 * of runners. None of them may be found anywhere else afterwards (I8).
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
const OVERLAP = 200;
const PATTERNS = [
  { what: 'registration token', pattern: /"token":"([^"]+)"/g },
  { what: 'credential of a runner', pattern: /"credential":"([^"]+)"/g },
] as const;

export function createSecretTap(): SecretTap {
  const secrets = new Map<string, string>();
  let before = '';
  return {
    onData(chunk) {
      const text = before + chunk.toString('latin1');
      for (const { what, pattern } of PATTERNS)
        for (const [, secret] of text.matchAll(pattern)) if (secret !== undefined) secrets.set(secret, what);
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
