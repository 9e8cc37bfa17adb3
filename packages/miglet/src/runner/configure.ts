/**
 * `config.sh`: registers the runner at GitHub.
 *
 * The token goes by the environment (`ACTIONS_RUNNER_INPUT_TOKEN`), never as an argument, where every user of the machine
 * could read it (I8; actions/runner CommandSettings.cs:112-140). A JIT config needs no config.sh: the listener takes it.
 */
import { spawn } from 'node:child_process';
import { printable } from '@mig/common/errors';
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import type { Registration } from '../machine/types.js';
import { killGroup } from './processes.js';
import type { RunnerDirectory } from './runner-directory.js';

export interface ConfigureOptions {
  readonly directory: RunnerDirectory;
  readonly env: Readonly<Record<string, string>>;
  /** One job, then the runner ends and is registered anew. */
  readonly ephemeral: boolean;
  readonly disableUpdate: boolean;
  readonly workFolder: string;
}

/** How much of what config.sh says is kept for the reason of a failure. */
const MAX_OUTPUT_LENGTH = 4_000;

export async function configureRunner(
  registration: Registration,
  options: ConfigureOptions,
  signal: AbortSignal,
): Promise<Outcome<void>> {
  const missing = options.directory.missing();
  if (missing !== undefined) return fatal(missing);
  options.directory.forgetRegistration();
  if (registration.jitConfig !== '') return ok(undefined);

  const { code, output } = await run(
    configArguments(registration, options),
    registration.token,
    options,
    signal,
  );
  if (code === 0) return ok(undefined);
  const reason = `config.sh ended with ${code ?? 'a signal'}: ${lastLines(output, registration.token)}`;
  // GitHub's way to say that the token is not, or no longer, good for this URL.
  return /Http response code: (NotFound|Unauthorized|Forbidden)/.test(output)
    ? fatal(reason)
    : retryable(reason);
}

function configArguments(registration: Registration, options: ConfigureOptions): string[] {
  return [
    '--unattended',
    '--replace',
    '--url',
    registration.runnerUrl,
    '--name',
    registration.runnerName,
    '--work',
    options.workFolder,
    // Labels of its own and no others, so that all of them can be taken from it when it is drained.
    '--no-default-labels',
    '--labels',
    registeredLabels(registration).join(','),
    ...(registration.runnerGroup === '' ? [] : ['--runnergroup', registration.runnerGroup]),
    ...(options.ephemeral ? ['--ephemeral'] : []),
    ...(options.disableUpdate ? ['--disableupdate'] : []),
  ];
}

/** The labels that the runner has at GitHub, by this registration. A JIT config says its own, which are not known here. */
export function registeredLabels({ labels, jitConfig }: Registration): readonly string[] {
  return labels.length > 0 || jitConfig !== '' ? labels : defaultLabels();
}

/** What GitHub would give it (docs.github.com, "Using self-hosted runners in a workflow"), as labels that can be taken. */
function defaultLabels(): string[] {
  const system =
    { linux: 'Linux', darwin: 'macOS', win32: 'Windows' }[process.platform as string] ?? process.platform;
  const architecture = { x64: 'X64', arm64: 'ARM64', arm: 'ARM' }[process.arch as string] ?? process.arch;
  return ['self-hosted', system, architecture];
}

function run(
  args: readonly string[],
  token: string,
  options: ConfigureOptions,
  signal: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(options.directory.configScript, args, {
      cwd: options.directory.path,
      env: { ...options.env, ACTIONS_RUNNER_INPUT_TOKEN: token },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    const collect = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-MAX_OUTPUT_LENGTH);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const abort = (): void => {
      if (child.pid !== undefined) killGroup(child.pid);
    };
    signal.addEventListener('abort', abort, { once: true });
    child.once('error', reject);
    child.once('close', (code) => {
      signal.removeEventListener('abort', abort);
      resolve({ code, output });
    });
  });
}

/** The end of what it said, on one line, without the token. */
function lastLines(output: string, token: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const text = lines.slice(-5).join(' | ');
  return printable(token === '' ? text : text.replaceAll(token, '[redacted]'), 600);
}
