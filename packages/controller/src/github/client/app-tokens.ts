/**
 * The tokens of a GitHub App's installations, each valid for an hour: made by @octokit/auth-app, which asks once however many
 * wait, and kept here, by our clock, and only until GitHub refuses one.
 */
import { createAppAuth } from '@octokit/auth-app';
import type { Octokit } from '@octokit/rest';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import { createAppJwt } from './app-jwt.js';

/** A token is not used any more when it ends within this time: a request may be on its way for long. */
const MARGIN_MS = 5 * 60_000;
/** Installations of which a token is kept; the oldest are given up first (I12). */
const MAX_KEPT = 1_000;
/** A clock that differs by less is not why a token was refused. */
const SKEW_STEP_S = 2;

export interface AppTokens {
  /** @returns the token, and whether it was kept from before */
  get(installationId: number): Promise<{ readonly token: string; readonly wasKept: boolean }>;
  /** The App's own JSON web token, made now. */
  appToken(): Promise<string>;
  forget(installationId: number): void;
  /** GitHub refused the App's own token. True if it did because its clock and ours differ: another is made by its clock. */
  learnSkew(error: unknown): boolean;
}

export interface AppTokensOptions {
  readonly appId: string;
  readonly privateKeyFile: string;
}

/** @param octokit signs nothing itself */
export function createAppTokens(
  { octokit, clock }: { readonly octokit: Octokit; readonly clock: Clock },
  { appId, privateKeyFile }: AppTokensOptions,
): AppTokens {
  /** As auth-app writes it: `token|createdAt|expiresAt|…`. */
  const kept = new Map<string, string>();
  /** What GitHub's clock is ahead of ours, seconds: a JSON web token is good for minutes only. */
  let skewS = 0;

  const cache = {
    get(key: string): string {
      const value = kept.get(key) ?? '';
      const expiresAt = Date.parse(value.split('|')[2] ?? '');
      return expiresAt - (clock.now() + skewS * 1_000) > MARGIN_MS ? value : '';
    },
    set(key: string, value: string): void {
      kept.delete(key);
      kept.set(key, value);
      for (const oldest of kept.keys()) {
        if (kept.size <= MAX_KEPT) break;
        kept.delete(oldest);
      }
    },
  };

  const auth = createAppAuth({
    appId,
    createJwt: async () => ({
      jwt: await createAppJwt(appId, privateKeyFile, clock.now() + skewS * 1_000),
      expiresAt: '',
    }),
    request: octokit.request,
    cache,
    log: { warn: () => undefined },
  });

  return {
    async get(installationId) {
      const wasKept = cache.get(String(installationId)) !== '';
      const { token } = await auth({ type: 'installation', installationId });
      return { token, wasKept };
    },
    appToken: async () => (await auth({ type: 'app' })).token,
    forget: (installationId) => void kept.delete(String(installationId)),
    learnSkew(error) {
      const learnt = skewSaidBy(error, clock.now());
      if (learnt === undefined || Math.abs(learnt - skewS) < SKEW_STEP_S) return false;
      skewS = learnt;
      return true;
    },
  };
}

/** What GitHub's clock is ahead, if that is why it refused the token; seconds. */
function skewSaidBy(error: unknown, nowMs: number): number | undefined {
  if (!/'(Expiration time|Issued at)' claim/.test(errorMessage(error))) return undefined;
  const { response } = error as { response?: { headers?: { date?: string } } };
  const saidMs = Date.parse(response?.headers?.date ?? '');
  return Number.isNaN(saidMs) ? undefined : Math.round((saidMs - nowMs) / 1_000);
}
