/**
 * `config.sh`: registers the runner at GitHub. Before it, the runner is installed if there is none.
 *
 * The token goes by the environment (`ACTIONS_RUNNER_INPUT_TOKEN`), never as an argument, where every user of the machine
 * could read it (I8; actions/runner CommandSettings.cs:112-140). A JIT config needs no config.sh: the listener takes it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { printable } from '@mig/common/errors';
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import { identify } from '@mig/common/process-identity';
import type { Registration } from '../machine/types.js';
import type { RunnerDirectory } from './runner-directory.js';
import { createRunnerTree } from './tree/runner-tree.js';
import type { RunAs } from './user.js';

export interface ConfigureOptions {
  readonly directory: RunnerDirectory;
  readonly env: Readonly<Record<string, string>>;
  /** One job, then the runner ends and is registered anew. */
  readonly ephemeral: boolean;
  readonly disableUpdate: boolean;
  readonly workFolder: string;
  /** Default: as the MIGlet's user, whoever that is. */
  readonly runAs?: RunAs;
  /** Installs a runner where there is none; default: there has to be one. */
  readonly install?: (signal: AbortSignal) => Promise<Outcome<unknown>>;
  /** Resolves when the runner that is there does not update itself any more; default: it never does. */
  readonly updateEnded?: (signal: AbortSignal) => Promise<Outcome<void>>;
  /** config.sh is ended after this, and what it had begun is tried again; default: only by the signal. */
  readonly timeoutMs?: number;
}

/** How much of what config.sh says is kept for the reason of a failure. */
const MAX_OUTPUT_LENGTH = 4_000;

export async function configureRunner(
  registration: Registration,
  options: ConfigureOptions,
  signal: AbortSignal,
): Promise<Outcome<void>> {
  const { directory, runAs, install, timeoutMs } = options;
  if (runAs?.refused !== undefined) return fatal(runAs.refused);
  const forJit = registration.jitConfig !== '';
  const updated = (await options.updateEnded?.(signal)) ?? ok(undefined);
  if (updated.kind !== 'ok') return updated;
  if (install !== undefined && directory.missing(forJit) !== undefined) {
    const installed = await install(signal);
    if (installed.kind !== 'ok') return installed;
  }
  const missing = directory.missing(forJit) ?? notWritable(options);
  if (missing !== undefined) return fatal(missing);
  directory.forgetRegistration();
  if (forJit) return ok(undefined);

  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const { code, output } = await run(
    configArguments(registration, options),
    registration.token,
    options,
    timeout === undefined ? signal : AbortSignal.any([signal, timeout]),
  );
  if (code === 0) return ok(undefined);
  if (timeout?.aborted === true) return retryable('config.sh did not end in time (runner.configure_timeout)');
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

/** The runner writes into its folder: registration, logs, work. Looked at only where another user runs it. */
function notWritable({ directory, env, runAs }: ConfigureOptions): string | undefined {
  if (runAs?.user === undefined) return undefined;
  const { file, args } = runAs.command('/bin/sh', [
    '-c',
    'test -w "$1" && test -x "$1"',
    'sh',
    directory.path,
  ]);
  const { status, stderr } = spawnSync(file, args, { env, encoding: 'utf8', timeout: CHECK_MS });
  if (status === 0) return undefined;
  const said = stderr.trim() === '' ? '' : ` (${printable(stderr.trim())})`;
  return `runner.user ${runAs.user.name} cannot write to ${directory.path}${said}: chown -R ${runAs.user.name} ${directory.path}, and let others pass every folder above it`;
}

const CHECK_MS = 10_000;

/** What it leaves running ends with it; asked to end early, so does it, with all that it started. */
async function run(
  args: readonly string[],
  token: string,
  options: ConfigureOptions,
  signal: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  const tree = createRunnerTree();
  const program = options.directory.configScript;
  const asUser = options.runAs?.command(program, args) ?? { file: program, args };
  const command = tree.command(asUser.file, asUser.args);
  const child = spawn(command.file, command.args, {
    cwd: options.directory.path,
    env: { ...options.env, ...tree.env, ACTIONS_RUNNER_INPUT_TOKEN: token },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-MAX_OUTPUT_LENGTH);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const abort = (): void => void tree.end();
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
      if (child.pid !== undefined) tree.ledBy(identify(child.pid));
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
    });
    const { left } = await tree.end();
    if (left.length > 0) for (const stream of [child.stdout, child.stderr]) stream.destroy();
    // Nobody is left to write: what was written is read to its end.
    await closed;
    return { code, output };
  } catch (error) {
    // It could not be started: its control group is there, and empty.
    await tree.end();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    tree.release();
  }
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
