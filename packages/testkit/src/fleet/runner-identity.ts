/** How a runner without files comes by what it says who it is with: from a JIT configuration, or by registering with a token. */
import type { Registration } from '@mig/miglet/machine/types';
import type { Registration as Registered } from '../github/runner-protocol.js';
import { ARCHITECTURE, OS_NAME, RUNNER_VERSION, USER_AGENT } from '../runner/identity.js';
import { createServiceClient } from '../runner/service-client.js';

export interface RunnerIdentity {
  /** A secret (I8). */
  readonly credential: string;
  readonly serverUrl: string;
  /** It has one job. */
  readonly ephemeral: boolean;
}

/** Undefined if it is none. */
export function readJitConfig(encoded: string): RunnerIdentity | undefined {
  const decode = (text: string): Record<string, string> =>
    JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Record<string, string>;
  try {
    const files = decode(encoded);
    const settings = decode(files['.runner'] ?? '');
    const key = decode(files['.credentials_rsaparams'] ?? '');
    return {
      credential: key['standInCredential'] ?? '',
      serverUrl: settings['ServerUrl'] ?? '',
      ephemeral: true,
    };
  } catch {
    return undefined;
  }
}

/** What `config.sh --replace --no-default-labels` does. @throws Error that says what GitHub answered */
export async function registerByToken(
  registration: Registration,
  ephemeral: boolean,
): Promise<RunnerIdentity> {
  const { runnerUrl, runnerName } = registration;
  const reply = await createServiceClient(runnerUrl, USER_AGENT).send({
    method: 'POST',
    path: 'registrations',
    authorization: `RemoteAuth ${registration.token}`,
    body: {
      url: runnerUrl,
      name: runnerName,
      labels: registration.labels,
      no_default_labels: registration.labels.length > 0,
      runner_group: registration.runnerGroup,
      ephemeral,
      replace: true,
      os: OS_NAME,
      arch: ARCHITECTURE,
      version: RUNNER_VERSION,
    },
  });
  if (reply.kind !== 'answer' || reply.status !== 200)
    throw new Error(
      `runner ${runnerName} was not registered: ${reply.kind === 'answer' ? reply.status : reply.kind}`,
    );
  const { credential, server_url: serverUrl } = reply.body as Registered;
  return { credential, serverUrl, ephemeral };
}
