import type { Credentials, Holder } from './credentials.js';
import { unusable, readSecretFile } from './secret-file.js';
import type { RateBudget } from './rate-budget.js';

/** A token of a person or a machine user, from a file that is read for every call. */
export function createTokenCredentials(
  { createBudget }: { readonly createBudget: (name: string) => RateBudget },
  { tokenFile }: { readonly tokenFile: string },
): Credentials {
  const holder: Holder = {
    budget: createBudget('token'),
    credential: `the token in ${tokenFile} (github.token_file)`,
    remedy: 'put a valid one with the right to manage self-hosted runners there; it is read when used',
  };
  return {
    auth: 'token',
    holder,
    async signIn() {
      const token = await readSecretFile(tokenFile, 'the token', 'github.token_file');
      return { ...holder, token, refused: () => false };
    },
    signInAsApp: () => Promise.reject(unusable('there is no GitHub App: github.auth is token, and not app')),
    status: () => [holder.budget.status()],
  };
}
