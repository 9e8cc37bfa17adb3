/**
 * The runner of a simulated VM that GitHub knows: it is registered at the stand-in GitHub, takes the jobs that are given to
 * it there, and says the same things to GitHub and to its MIGlet as the real one, in the same order. It has no process and
 * runs nothing: a job takes its time.
 *
 *   session -> listening -> (acquire -> job.started … -> job.finished and complete, either first) -> session closed -> exit code
 *
 * `stop` is SIGINT: a running job is cancelled, which GitHub counts as a killed one. `kill` is SIGKILL: nobody is told.
 */
import { fromCallback, fromPromise } from 'xstate';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import { ok, retryable } from '@mig/common/outcome';
import type { JobStatus } from '@mig/common/domain/vm';
import type {
  ConfigureOutcome,
  ExitVerdict,
  MigletEvent,
  Registration,
  RunnerFacts,
  RunnerRequest,
} from '@mig/miglet/machine/types';
import type { MigletHost } from '@mig/miglet/miglet';
import type { AcquiredJob, JobCompletion, RunnerMessage, Session } from '../github/runner-protocol.js';
import { EXIT } from '../runner/exit-codes.js';
import { OS_NAME, RUNNER_VERSION, USER_AGENT } from '../runner/identity.js';
import { createServiceClient, type ServiceClient } from '../runner/service-client.js';
import { readJitConfig, registerByToken, type RunnerIdentity } from './runner-identity.js';

export interface ConnectedRunner {
  readonly logic: MigletHost['runner'];
  readonly configure: MigletHost['configureRunner'];
}

export interface ConnectedRunnerOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Registered with a token, it has one job (default: many). With a JIT configuration it has one in any case. */
  readonly ephemeral?: boolean;
  /** The pause before GitHub is asked again. Default 200 ms. */
  readonly retryMs?: number;
}

/** Longer than the server lets a poll wait. */
const POLL_TIMEOUT_MS = 70_000;
/** GitHub and the MIGlet hear of the end of a job this far apart, at most. */
const END_GAP_MS = 200;
/** A session that another holds is waited for this often. */
const SESSION_TRIES = 150;
const ACQUIRE_TRIES = 3;

export function createConnectedRunner(options: ConnectedRunnerOptions): ConnectedRunner {
  let tell: (event: MigletEvent) => void = () => undefined;
  let configured: RunnerIdentity | undefined;
  let run: Run | undefined;

  function start(registration: Registration): void {
    const facts = { name: registration.runnerName, labels: registration.labels };
    const identity = registration.jitConfig === '' ? configured : readJitConfig(registration.jitConfig);
    tell({ type: 'runner.started', runner: facts });
    if (identity === undefined) {
      tell({ type: 'runner.exited', code: EXIT.terminated, signal: undefined });
      return;
    }
    const started = startRun(identity, facts, (event) => tell(event), options);
    run = started;
    void started.ended.then((exit) => {
      if (run === started) run = undefined;
      tell({ type: 'runner.exited', ...exit });
    });
  }

  return {
    configure: fromPromise<ConfigureOutcome, { registration: Registration }>(async ({ input }) => {
      const { registration } = input;
      if (registration.jitConfig !== '') return ok(undefined);
      try {
        configured = await registerByToken(registration, options.ephemeral ?? false);
        return ok(undefined);
      } catch (error) {
        return retryable(errorMessage(error));
      }
    }),
    logic: fromCallback<RunnerRequest>(({ receive, sendBack }) => {
      tell = sendBack;
      receive((request) => {
        if (request.type === 'start') start(request.registration);
        else if (run === undefined) tell({ type: 'runner.exited', code: undefined, signal: undefined });
        else if (request.type === 'stop') run.stop();
        else run.kill();
      });
    }),
  };
}

interface Exit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
  readonly verdict?: ExitVerdict;
}

/** As the real one shows it, by deleting the files of its registration. */
const GONE = { well: true, registrationGone: true, next: 'atOnce', spent: true } as const;
const JOB_DONE: ExitVerdict = {
  ...GONE,
  outcome: 'job_done',
  reason: 'the one job of its registration is done',
};
const REGISTRATION_GONE: ExitVerdict = {
  ...GONE,
  outcome: 'registration_gone',
  reason: 'GitHub has no registration of it any more',
};

interface Run {
  stop(): void;
  kill(): void;
  /** Never rejects. */
  readonly ended: Promise<Exit>;
}

/** One process of the runner, if it had one. */
function startRun(
  identity: RunnerIdentity,
  facts: RunnerFacts,
  tell: (event: MigletEvent) => void,
  { clock, random, retryMs = 200 }: ConnectedRunnerOptions,
): Run {
  const client: ServiceClient = createServiceClient(identity.serverUrl, USER_AGENT);
  const authorization = `Bearer ${identity.credential}`;
  const stopped = new AbortController();
  const killed = new AbortController();
  const either = AbortSignal.any([stopped.signal, killed.signal]);
  let verdict: ExitVerdict | undefined;

  const pause = (delayMs: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = (): void => {
        clock.clearTimer(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = clock.setTimer(end, delayMs);
      signal.addEventListener('abort', end);
    });

  const post = (path: string, body: object, signal: AbortSignal) =>
    client.send({ method: 'POST', path, authorization, body, signal });

  /** @returns the session's id, or the exit code */
  async function open(): Promise<string | number> {
    for (let conflicts = 0; !either.aborted;) {
      const reply = await post('sessions', { version: RUNNER_VERSION, os: OS_NAME }, either);
      if (reply.kind === 'answer') {
        if (reply.status === 200) return (reply.body as Session).session_id;
        if (reply.status !== 409) return EXIT.terminated;
        conflicts += 1;
        if (conflicts > SESSION_TRIES) return EXIT.sessionConflict;
      }
      await pause(retryMs, either);
    }
    return EXIT.success;
  }

  async function listen(): Promise<number> {
    let session = await open();
    if (typeof session === 'number') return session;
    tell({ type: 'runner.listening' });
    while (!either.aborted) {
      const path = `sessions/${session}/message`;
      const timing = { signal: either, timeoutMs: POLL_TIMEOUT_MS };
      const reply = await client.send({ method: 'GET', path, authorization, ...timing });
      if (reply.kind === 'aborted') break;
      if (reply.kind === 'unreachable') {
        await pause(retryMs, either);
        continue;
      }
      if (reply.status === 404) {
        verdict = REGISTRATION_GONE;
        return EXIT.success;
      }
      if (reply.status !== 200) {
        session = await open();
        if (typeof session === 'number') return session;
        continue;
      }
      const message = reply.body as RunnerMessage;
      if (message.type === 'job' && (await runJob(message.job_id)) && identity.ephemeral) {
        verdict = JOB_DONE;
        break;
      }
    }
    if (!killed.signal.aborted) {
      const path = `sessions/${session}`;
      await client.send({ method: 'DELETE', path, authorization, signal: killed.signal, timeoutMs: 2_000 });
    }
    return EXIT.success;
  }

  /** @returns false if the job was not its own to run */
  async function runJob(jobId: number): Promise<boolean> {
    const job = await acquire(jobId);
    if (job === undefined) return false;
    const status: JobStatus = {
      jobId: `${facts.name}-${job.id}`,
      runId: String(job.run_id),
      name: job.name,
      repository: job.repository,
      branch: job.ref,
      commit: job.sha,
      status: 'running',
      startedAt: clock.now(),
    };
    tell({ type: 'job.started', job: status });
    const cancelled = new AbortController();
    const lease = setInterval(() => {
      void post(`jobs/${job.id}/renew`, {}, killed.signal).then((reply) => {
        if (reply.kind === 'answer' && reply.status !== 200) cancelled.abort();
      });
    }, job.renew_every_ms);
    const ending = AbortSignal.any([either, cancelled.signal]);
    await pause(job.duration_ms, ending);
    const wasCancelled = ending.aborted;
    const completion: JobCompletion = wasCancelled
      ? { result: 'Canceled', ended_by: 'runner-shutdown' }
      : { result: job.result, ended_by: 'itself' };
    const gapMs = random() * END_GAP_MS;
    const finish = (): void =>
      tell({
        type: 'job.finished',
        job: { ...status, status: completion.result === 'Succeeded' ? 'completed' : 'failed' },
        result: completion.result,
      });
    // The worker tells GitHub before the listener prints its line, or the other way round.
    if (random() < 0.5) {
      finish();
      await pause(gapMs, killed.signal);
      await report(job, completion);
    } else {
      await report(job, completion);
      await pause(gapMs, killed.signal);
      if (!killed.signal.aborted) finish();
    }
    clearInterval(lease);
    return true;
  }

  async function acquire(jobId: number): Promise<AcquiredJob | undefined> {
    for (let attempt = 1; attempt <= ACQUIRE_TRIES && !killed.signal.aborted; attempt += 1) {
      const reply = await post(`jobs/${jobId}/acquire`, {}, killed.signal);
      if (reply.kind === 'answer') return reply.status === 200 ? (reply.body as AcquiredJob) : undefined;
      await pause(retryMs, killed.signal);
    }
    return undefined;
  }

  async function report(job: AcquiredJob, completion: JobCompletion): Promise<void> {
    while (!killed.signal.aborted) {
      const reply = await post(`jobs/${job.id}/complete`, completion, killed.signal);
      if (reply.kind === 'answer') return;
      await pause(retryMs, killed.signal);
    }
  }

  return {
    stop: () => stopped.abort(),
    kill: () => killed.abort(),
    ended: listen().then((code) =>
      killed.signal.aborted
        ? { code: undefined, signal: 'SIGKILL' }
        : { code, signal: undefined, ...(verdict === undefined ? {} : { verdict }) },
    ),
  };
}
