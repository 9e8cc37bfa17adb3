/** Which runner is to be installed: what the configuration says, and what it leaves open by the word of the controller. */
import type { Agent } from 'node:http';
import * as z from 'zod';
import type { VmPlatform } from '@mig/common/domain/vm';
import { errorMessage, printable } from '@mig/common/errors';
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import { askHttp } from '../../ask-http.js';

export interface RunnerRelease {
  /** `2.336.0`. */
  readonly version: string;
  /** `https://…/actions-runner-linux-x64-2.336.0.tar.gz`. */
  readonly url: string;
  /** Of the archive; 64 hexadecimal digits. */
  readonly sha256: string;
}

export interface ReleaseOptions {
  /** `http://controller:8080`. */
  readonly endpoint: string;
  /** `runner.version`, `.download_url` and `.sha256`; empty = by the controller. */
  readonly version: string;
  readonly downloadUrl: string;
  readonly sha256: string;
  /** This machine; undefined = GitHub has no runner for it. */
  readonly platform: VmPlatform | undefined;
  /** Default: a connection for each request. */
  readonly agent?: Agent | undefined;
}

const TIMEOUT_MS = 20_000;

const answerSchema = z.object({
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
  url: z.string().regex(/^https:\/\//),
  sha256: z.string().regex(/^[0-9a-f]{64}$/i),
});
const problemSchema = z.object({ detail: z.string() });

const BY_HAND = 'unpack the runner into runner.dir';
const REMEDY = `set runner.version and runner.sha256, or ${BY_HAND}`;

/** Asks the controller only for what the configuration leaves open. */
export async function findRelease(
  options: ReleaseOptions,
  signal: AbortSignal,
): Promise<Outcome<RunnerRelease>> {
  const { platform, version, downloadUrl, sha256 } = options;
  // For Windows it is a zip archive, and its programs have other names.
  if (platform === undefined || platform.os === 'win')
    return fatal(`no runner can be installed on this kind of machine: ${BY_HAND}`);
  if (version === '' && (downloadUrl !== '' || sha256 !== ''))
    return fatal('runner.download_url and runner.sha256 say nothing without runner.version: set it too');
  const url = downloadUrl || downloadOf(version, platform);
  if (version !== '' && sha256 !== '') return ok({ version, url, sha256 });

  const asked = await askController(options.endpoint, platform, options.agent, signal);
  if (asked.kind !== 'ok') return { ...asked, reason: `which runner to install: ${asked.reason}` };
  const offered = asked.value;
  if (version === '') return ok(offered);
  if (version !== offered.version) {
    return fatal(
      `runner.version is ${version}, and GitHub offers ${offered.version}: its checksum is not known here, so set runner.sha256 to the one in the notes of its release`,
    );
  }
  return ok({ version, url: downloadUrl || offered.url, sha256: offered.sha256 });
}

/** Where GitHub keeps a release (github.com/actions/runner/releases). */
const downloadOf = (version: string, { os, architecture }: VmPlatform): string =>
  `https://github.com/actions/runner/releases/download/v${version}/actions-runner-${os}-${architecture}-${version}.tar.gz`;

async function askController(
  endpoint: string,
  { os, architecture }: VmPlatform,
  agent: Agent | undefined,
  signal: AbortSignal,
): Promise<Outcome<RunnerRelease>> {
  const url = `${endpoint.replace(/\/$/, '')}/api/v1/runner-downloads?os=${os}&architecture=${architecture}`;
  try {
    const { statusCode, headers, text } = await askHttp(url, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      agent,
    });
    if (statusCode === 200) return parseAnswer(text, url);
    const reason = `the controller answered ${statusCode}: ${detailOf(text) ?? `${printable(text)}; ${REMEDY}`}`;
    // 404: GitHub offers none for this machine, or the controller knows of no such thing; asking again will not change it.
    if (statusCode >= 500 || statusCode === 429)
      return retryable(reason, Number(headers['retry-after']) * 1_000 || undefined);
    return fatal(reason);
  } catch (error) {
    return retryable(`the controller at ${endpoint} was not reached (${errorMessage(error)}); ${REMEDY}`);
  }
}

function parseAnswer(text: string, url: string): Outcome<RunnerRelease> {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    said = undefined;
  }
  const { data } = answerSchema.safeParse(said);
  if (data === undefined) return retryable(`${url} answered ${printable(text)}, which is no runner`);
  return ok({ ...data, sha256: data.sha256.toLowerCase() });
}

/** What the controller says is the matter, and what to do; undefined if it is not our controller that answers. */
function detailOf(text: string): string | undefined {
  try {
    return printable(problemSchema.parse(JSON.parse(text)).detail, 400);
  } catch {
    return undefined;
  }
}
