/** Who the controller is at GitHub: the port between signing in and making calls. */
import type { CallClass, GitHubClientStatus, InstallationStatus, Scope } from './github-client.js';
import type { RateBudget } from './rate-budget.js';
import type { SignIn } from './signed-octokit.js';

export interface Credentials {
  readonly auth: GitHubClientStatus['auth'];
  /** What is said of a failure before it is known as whom the call would be made. */
  readonly holder: Holder;
  /** Who may act in the scope. @throws GitHubCallError, or what a request failed with */
  signIn(scope: Scope, callClass: CallClass): Promise<Identity>;
  /** As the App itself. @throws GitHubCallError `credentials` if there is none */
  signInAsApp(): Promise<Identity>;
  /** Of every bucket that was used, in the order of their first use. */
  status(): readonly InstallationStatus[];
}

export interface Holder {
  readonly budget: RateBudget;
  /** For messages: `the token in /etc/mig/token (github.token_file)`. */
  readonly credential: string;
  /** What to do if GitHub does not take it. */
  readonly remedy: string;
}

export interface Identity extends SignIn, Holder {
  /**
   * GitHub did not take the token (401): what was kept of it is forgotten.
   * @returns true if another may be taken now: this one was kept from before, or was made by a clock that differs from GitHub's
   */
  refused(error: unknown): boolean;
}
