/**
 * What a worker does with its job: the started hook, the steps, the time that the job takes, the completed hook.
 *
 * A job that is cancelled skips all that is still to come, its completed hook too, and gives the process that runs a
 * SIGINT, a SIGTERM 7.5 s later and a SIGKILL 2.5 s after that (actions/runner src/Runner.Sdk/ProcessInvoker.cs,
 * src/Runner.Worker/StepsRunner.cs). What the job left running in the background is killed at its end.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { AcquiredJob } from '../github/runner-protocol.js';
import type { JobResult } from './exit-codes.js';
import { toJobEnvironment } from './job-environment.js';
import { killOrphans } from './orphans.js';
import type { Terminal } from './terminal.js';

const SIGINT_GRACE_MS = 7_500;
const SIGTERM_GRACE_MS = 2_500;

export interface WorkerJob {
  readonly job: AcquiredJob;
  readonly runnerName: string;
  readonly serverUrl: string;
  readonly workFolder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Aborts when the job is cancelled. */
  readonly signal: AbortSignal;
  readonly terminal: Terminal;
}

/** Never rejects: what goes wrong fails the job. */
export async function runJob(options: WorkerJob): Promise<JobResult> {
  const { job, signal, terminal, env } = options;
  const startedAt = performance.now();
  const trackingId = `github_${randomUUID()}`;
  const shell = findShell(env);
  try {
    const jobEnv = toJobEnvironment({ ...options, trackingId });
    const workspace = jobEnv['GITHUB_WORKSPACE'] ?? options.workFolder;
    mkdirSync(workspace, { recursive: true });
    mkdirSync(path.dirname(jobEnv['GITHUB_EVENT_PATH'] ?? ''), { recursive: true });
    writeFileSync(
      jobEnv['GITHUB_EVENT_PATH'] ?? '',
      JSON.stringify({ repository: { full_name: job.repository } }),
    );
    const runShell = (name: string, args: readonly string[]) =>
      runProcess({ name, file: shell, args, cwd: workspace, env: jobEnv, signal, terminal });
    const runHook = (script: string | undefined, name: string) =>
      script === undefined || script === '' ? Promise.resolve(true) : runShell(name, ['-e', script]);

    let succeeded = await runHook(env['ACTIONS_RUNNER_HOOK_JOB_STARTED'], 'Set up runner');
    for (const step of job.steps) {
      if (!succeeded || signal.aborted) break;
      succeeded = await runShell(step.name, ['-e', '-c', step.run]);
    }
    if (succeeded) await waitUntil(startedAt + job.duration_ms, signal);
    if (!signal.aborted) {
      const completed = await runHook(env['ACTIONS_RUNNER_HOOK_JOB_COMPLETED'], 'Complete runner');
      succeeded = succeeded && completed;
    }
    if (signal.aborted) return 'Canceled';
    return succeeded ? job.result : 'Failed';
  } catch (error) {
    terminal.trace('JobRunner', `The job failed: ${error instanceof Error ? error.message : String(error)}`);
    return 'Failed';
  } finally {
    for (const pid of killOrphans(trackingId))
      terminal.trace('JobExtension', `Terminate orphan process: pid (${pid})`);
  }
}

/** Resolves to whether the process ended with exit code 0, once it has ended. */
function runProcess(options: {
  name: string;
  file: string;
  args: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  terminal: Terminal;
}): Promise<boolean> {
  const { name, signal, terminal } = options;
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const child = spawn(options.file, options.args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const timers: NodeJS.Timeout[] = [];
    const cancel = () => {
      child.kill('SIGINT');
      timers.push(setTimeout(() => child.kill('SIGTERM'), SIGINT_GRACE_MS));
      timers.push(setTimeout(() => child.kill('SIGKILL'), SIGINT_GRACE_MS + SIGTERM_GRACE_MS));
    };
    const end = (succeeded: boolean) => {
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
      resolve(succeeded);
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) =>
        terminal.trace('StepHost', `[${name}] ${chunk.toString('utf8').trimEnd()}`),
      );
    }
    signal.addEventListener('abort', cancel);
    child.once('error', (error) => {
      terminal.trace('StepHost', `[${name}] did not start: ${error.message}`);
      end(false);
    });
    // 'exit' and not 'close': a process left in the background may hold the pipes for ever
    child.once('exit', (code, killedBy) => {
      terminal.trace('StepHost', `[${name}] ended with ${killedBy ?? code ?? ''}`);
      end(code === 0);
    });
  });
}

function waitUntil(at: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, Math.max(0, at - performance.now()));
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** bash if there is one, otherwise sh, as the real runner chooses (src/Runner.Worker/Handlers/ScriptHandlerHelpers.cs). */
function findShell(env: NodeJS.ProcessEnv): string {
  for (const folder of (env['PATH'] ?? '').split(path.delimiter)) {
    const candidate = path.join(folder, 'bash');
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  return '/bin/sh';
}
