import { GitHubCallError, type GitHubClient } from './github-client.js';

/** What a controller without GitHub has in place of a client. */
export function noClient(apiUrl: string): GitHubClient {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new GitHubCallError(
        'credentials',
        'no GitHub is configured: set github.auth, with github.token_file or with github.app_id and github.private_key_file',
        undefined,
        undefined,
      ),
    );
  return {
    call: refuse,
    callAsApp: refuse,
    status: () => ({ auth: 'none', apiUrl, installations: [] }),
  };
}
