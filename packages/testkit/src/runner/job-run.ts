/**
 * One job in the listener: acquire it, run a worker process, keep its lease, report its result (actions/runner
 * src/Runner.Listener/JobDispatcher.cs).
 *
 * `Running job` and `completed` are printed only for a job that was acquired. The result is printed when the worker has
 * ended, and reported until GitHub has taken it, which may be much later.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { AcquiredJob, JobCompletion } from '../github/runner-protocol.js';
import { fromExitCode, type JobResult } from './exit-codes.js';
import type { Pause } from './pause.js';
import type { RunnerSettings } from './runner-files.js';
import type { ServiceClient } from './service-client.js';
import type { Switches } from './switches.js';
import type { Terminal } from './terminal.js';
import type { WorkerReport, WorkerRequest } from './worker-protocol.js';

/** How often an acquisition is tried that GitHub does not answer. */
const ACQUIRE_TRIES = 3;
/** How often a result is reported that GitHub does not take, once the runner is told to stop. */
const LAST_REPORT_TRIES = 3;

export interface JobRunDeps {
  readonly root: string;
  readonly env: NodeJS.ProcessEnv;
  readonly client: ServiceClient;
  readonly authorization: string;
  readonly settings: RunnerSettings;
  readonly terminal: Terminal;
  readonly switches: Switches;
  readonly pause: Pause;
}

export interface JobRun {
  /** Ends the worker's job; the result is `Canceled`. */
  cancel(): void;
  /** The result, once it is reported; undefined if the job was not ours to run. Never rejects. */
  readonly done: Promise<JobResult | undefined>;
}

export function createJobRun(deps: JobRunDeps, jobId: number): JobRun {
  const { terminal, switches, client, authorization } = deps;
  let worker: ChildProcess | undefined;
  let cancelled = false;

  const post = (verb: string, body: object) =>
    client.send({ method: 'POST', path: `jobs/${jobId}/${verb}`, authorization, body });

  function cancel(): void {
    cancelled = true;
    if (worker?.connected === true) worker.send({ type: 'cancel' } satisfies WorkerRequest);
  }

  async function run(): Promise<JobResult | undefined> {
    const job = await acquire();
    if (job === undefined) return undefined;
    terminal.stamped(`Running job: ${job.name}`);
    const lease = setInterval(() => void renew(), job.renew_every_ms);
    const result = await work(job);
    clearInterval(lease);
    terminal.stamped(`Job ${job.name} completed with result: ${result.result}`);
    await report(result);
    return result.result;
  }

  async function acquire(): Promise<AcquiredJob | undefined> {
    for (let attempt = 1; attempt <= ACQUIRE_TRIES; attempt += 1) {
      const reply = await post('acquire', {});
      if (reply.kind === 'answer' && reply.status === 200) return reply.body as AcquiredJob;
      if (reply.kind === 'answer') break;
      await deps.pause(switches.retryMs);
    }
    terminal.trace('Runner', `Skipping message Job. Acquiring job ${jobId} failed`); // actions/runner #4617
    return undefined;
  }

  async function renew(): Promise<void> {
    const reply = await post('renew', {});
    if (reply.kind !== 'answer' || reply.status === 200) return;
    terminal.trace('JobDispatcher', `Job ${jobId} is no longer valid (${reply.status})`);
    cancel();
  }

  /** Resolves when the worker has ended. */
  function work(job: AcquiredJob): Promise<JobCompletion> {
    const child = spawn(path.join(deps.root, 'bin', 'Runner.Worker'), ['spawnclient', '3', '4'], {
      cwd: deps.root,
      env: deps.env,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    worker = child;
    const crashMs = switches.takeFault('worker-crash');
    const crash = crashMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), crashMs);
    const lingers = switches.takeFault('worker-lingers') !== undefined;
    child.send({
      type: 'job',
      job,
      runnerName: deps.settings.agentName,
      serverUrl: deps.settings.serverUrl,
      workFolder: path.resolve(deps.root, deps.settings.workFolder),
      lingers,
      outlives: switches.takeFault('worker-outlives') !== undefined,
    } satisfies WorkerRequest);
    if (cancelled) cancel();
    child.on('message', (message: WorkerReport) => {
      if (lingers) void report(toCompletion(message.result));
    });
    return new Promise((resolve) => {
      child.once('error', (error) => {
        terminal.trace('JobDispatcher', `The worker did not start: ${error.message}`);
        resolve({ result: 'Failed', ended_by: 'worker-crash' });
      });
      child.once('exit', (code, signal) => {
        clearTimeout(crash);
        const result = fromExitCode(code);
        terminal.trace('JobDispatcher', `Worker finished for job ${jobId}. Code: ${signal ?? code ?? ''}`);
        // a signal to the whole process group may find the worker before it has learnt to ignore it
        if (result === undefined && cancelled) resolve(toCompletion('Canceled'));
        else if (result === undefined) resolve({ result: 'Failed', ended_by: 'worker-crash' });
        else resolve(toCompletion(result));
      });
    });
  }

  async function report(completion: JobCompletion): Promise<void> {
    for (let lastTries = 0; lastTries < LAST_REPORT_TRIES; lastTries += cancelled ? 1 : 0) {
      const reply = await post('complete', completion);
      if (reply.kind === 'answer') return;
      await deps.pause(switches.retryMs);
    }
  }

  return { cancel, done: run() };
}

const toCompletion = (result: JobResult): JobCompletion => ({
  result,
  ended_by: result === 'Canceled' ? 'runner-shutdown' : 'itself',
});
