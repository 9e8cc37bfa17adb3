import { randomBytes } from 'node:crypto';
import type { Clock } from '@mig/common/clock';
import { scopeKey, type Scope } from './scope.js';

/** GitHub's registration and remove tokens are valid for an hour (github-facts 2.1). */
const TOKEN_LIFETIME_MS = 3_600_000;
/** Tokens that are remembered; the oldest are forgotten first, which is the same as expired. */
const MAX_TOKENS = 10_000;

export type TokenPurpose = 'registration' | 'remove';

/** The short-lived tokens that `config.sh` is given. Each may be used any number of times until it expires. */
export interface TokenDesk {
  issue(purpose: TokenPurpose, scope: Scope): { readonly token: string; readonly expiresAt: number };
  accepts(token: string, purpose: TokenPurpose, scope: Scope): boolean;
}

export function createTokenDesk(clock: Clock): TokenDesk {
  const issued = new Map<string, { purpose: TokenPurpose; scope: string; expiresAt: number }>();
  return {
    issue(purpose, scope) {
      const token = `A${randomBytes(14).toString('hex').toUpperCase()}`; // the real ones: 29 capitals and digits
      const expiresAt = clock.now() + TOKEN_LIFETIME_MS;
      issued.set(token, { purpose, scope: scopeKey(scope), expiresAt });
      for (const oldest of issued.keys()) {
        if (issued.size <= MAX_TOKENS) break;
        issued.delete(oldest);
      }
      return { token, expiresAt };
    },
    accepts(token, purpose, scope) {
      const known = issued.get(token);
      return known?.purpose === purpose && known.scope === scopeKey(scope) && known.expiresAt > clock.now();
    },
  };
}
