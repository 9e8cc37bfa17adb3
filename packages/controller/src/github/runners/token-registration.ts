/** Registration by config.sh on the VM, with a registration token: one for many runners, valid for an hour. */
import { toRfc3339, type Clock } from '@mig/common/clock';
import type { Parameters } from '@mig/common/domain/command';
import { scopePath, type Scope } from '../client/github-client.js';
import type { RegistrationWish } from './registration-wish.js';
import type { RegistrationToken, RunnersApi } from './runners-api.js';

/** A token is not handed out any more when it ends within this time. */
const TOKEN_MARGIN_MS = 10 * 60_000;
/** Scopes of which a token is kept; beyond, all are asked for again (I12). */
const MAX_KEPT = 1_000;

export interface TokenRegistration {
  /** @param runnerName the same in all of a boot: config.sh replaces what is left of it. @throws GitHubCallError */
  mint(wish: RegistrationWish, runnerName: string): Promise<Parameters>;
}

export function createTokenRegistration({
  runners,
  clock,
}: {
  readonly runners: RunnersApi;
  readonly clock: Clock;
}): TokenRegistration {
  /** One token for each scope, asked for once however many VMs wait for it. */
  const tokens = new Map<string, Promise<RegistrationToken>>();

  async function tokenOf(scope: Scope): Promise<RegistrationToken> {
    const key = scopePath(scope).toLowerCase();
    const known = tokens.get(key);
    if (known !== undefined) {
      const token = await known;
      if (token.expiresAt - clock.now() > TOKEN_MARGIN_MS) return token;
      if (tokens.get(key) === known) tokens.delete(key);
    }
    if (tokens.size >= MAX_KEPT) tokens.clear();
    const fresh = tokens.get(key) ?? runners.registrationToken(scope);
    tokens.set(key, fresh);
    fresh.catch(() => {
      if (tokens.get(key) === fresh) tokens.delete(key);
    });
    return fresh;
  }

  return {
    async mint({ scope, runnerUrl, runnerGroup, labels }, runnerName) {
      const { token, expiresAt } = await tokenOf(scope);
      return {
        runner_url: runnerUrl,
        runner_name: runnerName,
        ...(runnerGroup === '' ? {} : { runner_group: runnerGroup }),
        labels: [...labels],
        registration_token: token,
        expires_at: toRfc3339(expiresAt),
      };
    },
  };
}
