/**
 * Public keys of a token's issuer: fetched when first needed, and anew when they are old or a token names one that is not
 * among them. While the issuer does not answer those that are there go on being used, so that neither its pause nor a
 * stranger's token with an invented key id shuts out whose token is good.
 */
import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import * as z from 'zod';
import type { Clock } from '@mig/common/clock';
import { MigError, errorMessage } from '@mig/common/errors';

/** The issuer's keys cannot be had, so that this token cannot be looked at now. */
export class KeysUnavailableError extends MigError {
  /** @param reason why, as the issuer said it */
  constructor(reason: string) {
    super('keys-unavailable', reason);
  }
}

/** Keys are fetched anew after this. */
const FRESH_MS = 600_000;
/** An issuer that has answered, or failed, is left alone for this long, whoever asks. */
const COOL_DOWN_MS = 10_000;
/** Keys of an issuer that does not answer are used for so long: one that it has withdrawn is not used for ever. */
const MAX_AGE_MS = 86_400_000;

const keySetSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

/** @param fetchKeys the issuer's answer; it has to end by itself */
export function createKeyCache(clock: Clock, fetchKeys: () => Promise<unknown>): JWTVerifyGetKey {
  let keys: { readonly find: ReturnType<typeof createLocalJWKSet>; readonly atMs: number } | undefined;
  let asksAgainMs = -Infinity;
  let failure = 'it has not answered yet';
  let fetching: Promise<void> | undefined;

  /** Never rejects: what is there afterwards counts. */
  function refresh(): Promise<void> {
    if (fetching === undefined && clock.monotonicMs() < asksAgainMs) return Promise.resolve();
    fetching ??= (async () => {
      try {
        const set = keySetSchema.parse(await fetchKeys());
        keys = { find: createLocalJWKSet(set), atMs: clock.monotonicMs() };
        failure = '';
      } catch (error) {
        failure = errorMessage(error);
      } finally {
        asksAgainMs = clock.monotonicMs() + COOL_DOWN_MS;
        fetching = undefined;
      }
    })();
    return fetching;
  }

  return async (header, token) => {
    const isOlderThan = (ageMs: number): boolean =>
      keys === undefined || clock.monotonicMs() - keys.atMs >= ageMs;
    if (isOlderThan(MAX_AGE_MS)) await refresh();
    // Nobody waits for it while there are some.
    else if (isOlderThan(FRESH_MS)) void refresh();
    if (keys === undefined || isOlderThan(MAX_AGE_MS)) throw new KeysUnavailableError(failure);
    try {
      return await keys.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await refresh();
      try {
        return await keys.find(header, token);
      } catch (again) {
        // With an issuer that does not answer nobody knows whether it has such a key.
        if (again instanceof errors.JWKSNoMatchingKey && failure !== '')
          throw new KeysUnavailableError(failure);
        throw again;
      }
    }
  };
}

/** What an issuer answers at this URL. @throws if that is not 200 with JSON, in time */
export async function fetchJson(
  fetch: typeof globalThis.fetch,
  url: string,
  timeoutMs: number,
): Promise<unknown> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
  if (response.status !== 200) throw new Error(`it answered ${response.status}`);
  return response.json();
}
