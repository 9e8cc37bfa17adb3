/** The command line of the stand-in GitHub's process. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parseDuration } from '@mig/common/config/duration';
import type { StandInGitHubOptions } from './stand-in-github.js';

export const USAGE = `The stand-in GitHub: GitHub's REST API of self-hosted runners, on 127.0.0.1.

  --port N              default 0, any that is free
  --token-file FILE     the token that the REST API accepts; otherwise the variable STAND_IN_GITHUB_TOKEN
  --org NAME            the one organization that exists (default acme)
  --jobs-every 3s       queue a random job this often (default: never)
  --job-seconds 2..8    how long random jobs take
  --seed N              the same seed gives the same random jobs
  --job-lost-after 10m  a job that its runner said nothing about for this long is lost
  --session-timeout 60s a runner that nothing was heard of for this long is offline
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
    return { kind: 'refused', faults: [String(error instanceof Error ? error.message : error)] };
  }
  if (flags.help === true) return { kind: 'help' };

  const faults: string[] = [];
  const refuse = (flag: string, value: string, allowed: string) => {
    faults.push(`--${flag} ${JSON.stringify(value)} is not valid: use ${allowed}`);
    return undefined;
  };
  const integer = (flag: 'port' | 'seed' | 'exit-with-parent', max: number) => {
    const value = flags[flag];
    if (value === undefined) return undefined;
    return /^\d+$/.test(value) && Number(value) <= max
      ? Number(value)
      : refuse(flag, value, `a number up to ${max}`);
  };
  const duration = (flag: 'jobs-every' | 'job-lost-after' | 'session-timeout') => {
    const value = flags[flag];
    if (value === undefined) return undefined;
    const durationMs = parseDuration(value);
    return durationMs !== undefined && durationMs > 0
      ? durationMs
      : refuse(flag, value, 'a duration such as 3s');
  };
  const token = readToken(flags['token-file'], env, faults);
  const seconds = /^(\d+(?:\.\d+)?)\.\.(\d+(?:\.\d+)?)$/.exec(flags['job-seconds'] ?? '2..8');
  const [min, max] = [Number(seconds?.[1]), Number(seconds?.[2])];
  if (!(min <= max)) refuse('job-seconds', flags['job-seconds'] ?? '', 'MIN..MAX in seconds, such as 2..8');

  const github: StandInGitHubOptions = {
    tokens: [token],
    jobDurationMs: { min: min * 1000, max: max * 1000 },
    ...given('port', integer('port', 65_535)),
    ...given('organization', flags.org),
    ...given('jobsEveryMs', duration('jobs-every')),
    ...given('seed', integer('seed', 2 ** 32 - 1)),
    ...given('jobLostAfterMs', duration('job-lost-after')),
    ...given('sessionTimeoutMs', duration('session-timeout')),
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
      'exit-with-parent': { type: 'string' },
      help: { type: 'boolean' },
    },
  }).values;
}

function readToken(file: string | undefined, env: NodeJS.ProcessEnv, faults: string[]): string {
  const fromEnv = env['STAND_IN_GITHUB_TOKEN'] ?? '';
  if (file === undefined) {
    if (fromEnv === '')
      faults.push('There is no API token: use --token-file FILE or the variable STAND_IN_GITHUB_TOKEN');
    return fromEnv;
  }
  try {
    const token = readFileSync(file, 'utf8').trim();
    if (token === '') faults.push(`--token-file ${JSON.stringify(file)} is empty: write the token into it`);
    return token;
  } catch (error) {
    faults.push(
      `--token-file ${JSON.stringify(file)} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
    return '';
  }
}

const given = <K extends string, V>(key: K, value: V | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
