/** The command line of the stand-in GitHub's process. */
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parseDuration } from '@mig/common/config/duration';
import { errorMessage } from '@mig/common/errors';
import type { StandInGitHubOptions } from './stand-in-github.js';

export const USAGE = `The stand-in GitHub: GitHub's REST API of self-hosted runners, on 127.0.0.1.

  --port N              default 0, any that is free
  --token-file FILE     the token that the REST API accepts; otherwise the variable STAND_IN_GITHUB_TOKEN; with an App none
                        is needed
  --org NAME            the one organization that exists (default acme)
  --jobs-every 3s       queue a random job this often (default: never)
  --job-seconds 2..8    how long random jobs take
  --seed N              the same seed gives the same random jobs
  --job-lost-after 10m  a job that its runner said nothing about for this long is lost
  --session-timeout 60s a runner that nothing was heard of for this long is offline
  --jit-idle-removal 5m a runner with a JIT configuration that waits so long for a job is removed (default: never)
  --enterprise NAME     an enterprise that the organization belongs to
  --app-key-file FILE   the key of a GitHub App (PEM, private or public), installed at the organization
  --app-id N            the App's id (default 4711)
  --webhook-url URL     where workflow_job is told: the App's webhook, or the organization's if there is no App
  --webhook-secret-file FILE  what webhooks are signed with (default: they are not)
  --api-prefix /api/v3  what the paths of the REST API begin with, as on an Enterprise Server
  --exit-with-parent PID  end when the process PID is gone
`;

export interface MainOptions {
  readonly github: StandInGitHubOptions;
  readonly parentPid: number | undefined;
}

/** `faults` are all that is wrong with the command line, each with the flag, its value and what is allowed. */
export type MainOptionsReading =
  | { readonly kind: 'ok'; readonly options: MainOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

export function readMainOptions(args: readonly string[], env: NodeJS.ProcessEnv): MainOptionsReading {
  let flags: ReturnType<typeof parseFlags>;
  try {
    flags = parseFlags(args);
  } catch (error) {
    return { kind: 'refused', faults: [errorMessage(error)] };
  }
  if (flags.help === true) return { kind: 'help' };

  const faults: string[] = [];
  const refuse = (flag: string, value: string, allowed: string) => {
    faults.push(`--${flag} ${JSON.stringify(value)} is not valid: use ${allowed}`);
    return undefined;
  };
  const integer = (flag: 'port' | 'seed' | 'exit-with-parent' | 'app-id', max: number) => {
    const value = flags[flag];
    if (value === undefined) return undefined;
    return /^\d+$/.test(value) && Number(value) <= max
      ? Number(value)
      : refuse(flag, value, `a number up to ${max}`);
  };
  const duration = (flag: 'jobs-every' | 'job-lost-after' | 'session-timeout' | 'jit-idle-removal') => {
    const value = flags[flag];
    if (value === undefined) return undefined;
    const durationMs = parseDuration(value);
    return durationMs !== undefined && durationMs > 0
      ? durationMs
      : refuse(flag, value, 'a duration such as 3s');
  };
  const file = (flag: 'app-key-file' | 'webhook-secret-file') => {
    const name = flags[flag];
    return name === undefined ? undefined : readSecret(flag, name, faults);
  };
  const hasApp = flags['app-key-file'] !== undefined;
  const token = readToken(flags['token-file'], env, faults, hasApp);
  const appKey = file('app-key-file');
  if (appKey !== undefined && appKey !== '' && !isKey(appKey))
    refuse('app-key-file', flags['app-key-file'] ?? '', 'a file that holds an RSA key in PEM');
  const appId = integer('app-id', 2 ** 31 - 1);
  if (appId !== undefined && flags['app-key-file'] === undefined)
    faults.push('--app-id needs --app-key-file: give the key of the App too');
  const webhookUrl = flags['webhook-url'];
  if (webhookUrl !== undefined && !URL.canParse(webhookUrl))
    refuse('webhook-url', webhookUrl, 'an address such as http://127.0.0.1:8080/webhooks/github');
  const webhookSecret = file('webhook-secret-file');
  const apiPrefix = flags['api-prefix'];
  if (apiPrefix !== undefined && !/^(\/[\w.-]+)+$/.test(apiPrefix))
    refuse('api-prefix', apiPrefix, 'a path such as /api/v3');
  const seconds = /^(\d+(?:\.\d+)?)\.\.(\d+(?:\.\d+)?)$/.exec(flags['job-seconds'] ?? '2..8');
  const [min, max] = [Number(seconds?.[1]), Number(seconds?.[2])];
  if (!(min <= max)) refuse('job-seconds', flags['job-seconds'] ?? '', 'MIN..MAX in seconds, such as 2..8');

  const github: StandInGitHubOptions = {
    tokens: token === '' ? [] : [token],
    jobDurationMs: { min: min * 1000, max: max * 1000 },
    ...given('port', integer('port', 65_535)),
    ...given('organization', flags.org),
    ...given('jobsEveryMs', duration('jobs-every')),
    ...given('seed', integer('seed', 2 ** 32 - 1)),
    ...given('jobLostAfterMs', duration('job-lost-after')),
    ...given('sessionTimeoutMs', duration('session-timeout')),
    ...given('jitIdleRemovalMs', duration('jit-idle-removal')),
    ...given('enterprise', flags.enterprise),
    ...given('app', appKey === undefined ? undefined : { keys: [appKey], ...given('id', appId) }),
    ...given(
      'webhook',
      webhookUrl === undefined ? undefined : { url: webhookUrl, ...given('secret', webhookSecret) },
    ),
    ...given('apiPrefix', apiPrefix),
  };
  const parentPid = integer('exit-with-parent', 2 ** 31 - 1);
  return faults.length > 0 ? { kind: 'refused', faults } : { kind: 'ok', options: { github, parentPid } };
}

function parseFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      port: { type: 'string' },
      'token-file': { type: 'string' },
      org: { type: 'string' },
      'jobs-every': { type: 'string' },
      'job-seconds': { type: 'string' },
      seed: { type: 'string' },
      'job-lost-after': { type: 'string' },
      'session-timeout': { type: 'string' },
      'jit-idle-removal': { type: 'string' },
      enterprise: { type: 'string' },
      'app-key-file': { type: 'string' },
      'app-id': { type: 'string' },
      'webhook-url': { type: 'string' },
      'webhook-secret-file': { type: 'string' },
      'api-prefix': { type: 'string' },
      'exit-with-parent': { type: 'string' },
      help: { type: 'boolean' },
    },
  }).values;
}

function readToken(
  file: string | undefined,
  env: NodeJS.ProcessEnv,
  faults: string[],
  hasApp: boolean,
): string {
  const fromEnv = env['STAND_IN_GITHUB_TOKEN'] ?? '';
  if (file === undefined) {
    if (fromEnv === '' && !hasApp)
      faults.push(
        'There is no API token: use --token-file FILE or the variable STAND_IN_GITHUB_TOKEN, or an App with --app-key-file',
      );
    return fromEnv;
  }
  return readSecret('token-file', file, faults);
}

/** What is in the file, without white space around it; empty, and a fault, if there is nothing. */
function readSecret(flag: string, file: string, faults: string[]): string {
  try {
    const secret = readFileSync(file, 'utf8').trim();
    if (secret === '') faults.push(`--${flag} ${JSON.stringify(file)} is empty: write the secret into it`);
    return secret;
  } catch (error) {
    faults.push(`--${flag} ${JSON.stringify(file)} cannot be read: ${errorMessage(error)}`);
    return '';
  }
}

function isKey(pem: string): boolean {
  try {
    return createPublicKey(pem).asymmetricKeyType === 'rsa';
  } catch {
    return false;
  }
}

const given = <K extends string, V>(key: K, value: V | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
