/** What a MIGlet installs if its machine has no runner: what GitHub offers now, asked for with the controller's credentials (I9). */
import * as z from 'zod';
import { MigError, errorMessage, printable } from '@mig/common/errors';
import { GitHubCallError } from '../github/client/github-client.js';
import type { RunnerDownloads } from '../github/runners/runner-downloads.js';
import type { RunnerDownload } from '../github/runners/runners-api.js';
import type { App } from './app.js';
import { query } from './query.js';

export interface RunnerDownloadRoutesDeps {
  /** Undefined: there is no GitHub (`github.auth: none`). */
  readonly runnerDownloads: RunnerDownloads | undefined;
}

class NoGitHubError extends MigError {
  constructor() {
    super(
      'no-github',
      'this controller has no GitHub to ask (github.auth is none): set runner.version and runner.sha256 on the VM, or install the runner in its image',
    );
  }
}

/** GitHub has none for this machine. */
class UnknownRunnerDownloadError extends MigError {
  constructor(wanted: string, offered: readonly RunnerDownload[]) {
    const names = offered.map(({ os, architecture }) => `${os}/${architecture}`).join(', ');
    super(
      'unknown-runner-download',
      `GitHub offers no runner for ${wanted}; it offers ${names === '' ? 'none at all' : names}`,
    );
  }
}

/** An older Enterprise Server says nothing to check the archive with. */
class UncheckedRunnerDownloadError extends MigError {
  constructor(url: string) {
    super(
      'unknown-runner-download',
      `GitHub names no version or no checksum for ${printable(url)}: set runner.version and runner.sha256 on the VM`,
    );
  }
}

class GitHubUnavailableError extends MigError {
  constructor(reason: string) {
    super('github-unavailable', reason);
  }
}

const nameSchema = z.string().min(1).max(20);

export function runnerDownloadRoutes(app: App, { runnerDownloads }: RunnerDownloadRoutesDeps): void {
  app.get(
    '/api/v1/runner-downloads',
    {
      schema: {
        summary: 'The runner that GitHub offers for a system and an architecture',
        querystring: query({
          os: nameSchema.describe('linux, osx or win'),
          architecture: nameSchema.describe('x64, arm64 or arm'),
        }),
        response: {
          200: z.object({
            version: z.string().describe('as in 2.336.0'),
            url: z.string().describe('of the archive'),
            sha256: z.string().describe('of the archive, 64 hexadecimal digits'),
          }),
        },
      },
    },
    async (request, reply) => {
      if (runnerDownloads === undefined) throw new NoGitHubError();
      const { os, architecture } = request.query;
      const offered = await runnerDownloads().catch((error: unknown) => {
        const afterMs = error instanceof GitHubCallError ? error.retryAfterMs : undefined;
        if (afterMs !== undefined) void reply.header('retry-after', String(Math.ceil(afterMs / 1_000)));
        throw new GitHubUnavailableError(errorMessage(error));
      });
      const found = offered.find((offer) => offer.os === os && offer.architecture === architecture);
      const wanted = `${printable(os)}/${printable(architecture)}`;
      if (found === undefined) throw new UnknownRunnerDownloadError(wanted, offered);
      const { version, url, sha256 } = found;
      if (version === '' || sha256 === '') throw new UncheckedRunnerDownloadError(url);
      return { version, url, sha256 };
    },
  );
}
