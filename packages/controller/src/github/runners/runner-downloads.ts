import type { Clock } from '@mig/common/clock';
import { GitHubCallError, type Scope } from '../client/github-client.js';
import type { RunnerDownload, RunnersApi } from './runners-api.js';

/** What GitHub offers to install. @throws GitHubCallError */
export type RunnerDownloads = () => Promise<readonly RunnerDownload[]>;

/** GitHub publishes a runner every few weeks. */
const FRESH_MS = 60 * 60_000;

/**
 * What GitHub offers to install: asked for once an hour, however many VMs want it. It is the same in every place. While GitHub
 * cannot be asked, what it offered last is still good.
 */
export function createRunnerDownloads({
  runners,
  scopes,
  clock,
}: {
  readonly runners: Pick<RunnersApi, 'downloads'>;
  readonly scopes: () => readonly Scope[];
  readonly clock: Clock;
}): RunnerDownloads {
  let last: { readonly offered: readonly RunnerDownload[]; readonly askedAtMs: number } | undefined;
  let asking: Promise<readonly RunnerDownload[]> | undefined;

  async function ask(): Promise<readonly RunnerDownload[]> {
    const [scope] = scopes();
    if (scope === undefined) {
      const message =
        'no organization is known in which GitHub could be asked: set github.org, or a repository in pools';
      throw new GitHubCallError('refused', message, undefined, undefined);
    }
    const offered = await runners.downloads(scope);
    last = { offered, askedAtMs: clock.monotonicMs() };
    return offered;
  }

  return async () => {
    if (last !== undefined && clock.monotonicMs() - last.askedAtMs < FRESH_MS) return last.offered;
    asking ??= ask().finally(() => (asking = undefined));
    const before = last;
    return before === undefined ? asking : asking.catch(() => before.offered);
  };
}
