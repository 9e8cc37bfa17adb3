/**
 * A runner that runs nothing. As the machine sees it, it does what the real one does: listens, runs one job at a time, ends
 * when it is told to. With a file it outlives the process of its MIGlet, as the real one does: the next one finds it with its
 * job, which has gone on meanwhile.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fromCallback } from 'xstate';
import type { Clock } from '@mig/common/clock';
import type { JobStatus } from '@mig/common/domain/vm';
import type { MigletEvent, RunnerFacts, RunnerRequest } from '@mig/miglet/machine/types';
import type { MigletHost } from '@mig/miglet/miglet';
import type { Witness } from './witness.js';

export interface SimulatedRunner {
  readonly logic: MigletHost['runner'];
  /** Nothing happens unless it listens and has none. @param durationMs it ends by itself after this; undefined = by `endJob` */
  startJob(name: string, durationMs?: number): void;
  endJob(result: string): void;
  /** Jobs that were ended by anything else than themselves or `endJob`. */
  readonly jobsKilled: number;
}

interface SimulatedJob {
  readonly facts: JobStatus;
  /** Milliseconds since 1970. */
  readonly endsAt: number | undefined;
  /** Its start was told to a MIGlet. */
  readonly told: boolean;
}

interface RunnerState {
  readonly runner: RunnerFacts;
  readonly job: SimulatedJob | undefined;
}

export interface SimulatedRunnerOptions {
  readonly clock: Clock;
  /** Where it is kept; undefined = it ends with its MIGlet's process. */
  readonly file: string | undefined;
  readonly witness: Witness;
}

export function createSimulatedRunner({ clock, file, witness }: SimulatedRunnerOptions): SimulatedRunner {
  let tell: (event: MigletEvent) => void = () => undefined;
  let state = file === undefined ? undefined : readState(file);
  let jobTimer: unknown;
  let jobsKilled = 0;

  function save(next: RunnerState | undefined): void {
    state = next;
    if (file !== undefined) writeState(file, next);
  }

  function end(exit: { code: number | undefined; signal: string | undefined }): void {
    if (state === undefined) return;
    clock.clearTimer(jobTimer);
    if (state.job !== undefined) {
      jobsKilled += 1;
      witness({ kind: 'jobEnded', jobId: state.job.facts.jobId, early: true });
    }
    save(undefined);
    witness({ kind: 'runner', does: 'ended' });
    tell({ type: 'runner.exited', ...exit });
  }

  function finishJob(result: string): void {
    if (state?.job === undefined) return;
    clock.clearTimer(jobTimer);
    const { facts } = state.job;
    witness({ kind: 'jobEnded', jobId: facts.jobId, early: false });
    const job: JobStatus = { ...facts, status: result === 'Succeeded' ? 'completed' : 'failed' };
    state = { runner: state.runner, job: undefined };
    tell({ type: 'job.finished', job, result });
    // After it was told, as the real one's reader notes: a MIGlet that is killed in between hears it again, not never.
    if (state !== undefined) save(state);
  }

  function watchJob({ facts, endsAt, told }: SimulatedJob): void {
    tell({ type: 'job.started', job: facts, known: told });
    if (!told && state !== undefined) save({ ...state, job: { facts, endsAt, told: true } });
    if (endsAt !== undefined)
      jobTimer = clock.setTimer(() => finishJob('Succeeded'), Math.max(0, endsAt - clock.now()));
  }

  return {
    logic: fromCallback<RunnerRequest>(({ receive, sendBack }) => {
      tell = sendBack;
      receive((request) => {
        switch (request.type) {
          case 'start': {
            const runner = { name: request.registration.runnerName, labels: request.registration.labels };
            save({ runner, job: undefined });
            witness({ kind: 'runner', does: 'started' });
            tell({ type: 'runner.started', runner });
            tell({ type: 'runner.listening' });
            return;
          }
          case 'stop':
            if (state === undefined) tell({ type: 'runner.exited', code: undefined, signal: undefined });
            else end({ code: 0, signal: undefined });
            return;
          case 'kill':
            end({ code: undefined, signal: 'SIGKILL' });
        }
      });
      if (state === undefined) return;
      const { runner, job } = state;
      tell({ type: 'runner.started', runner });
      // The machine must have the runner before it hears of what it does.
      setImmediate(() => {
        tell({ type: 'runner.listening' });
        if (job !== undefined) watchJob(job);
      });
    }),
    startJob(name, durationMs) {
      if (state === undefined || state.job !== undefined) return;
      const startedAt = clock.now();
      const facts: JobStatus = {
        jobId: `${state.runner.name}-${startedAt}`,
        runId: '',
        name,
        repository: '',
        branch: '',
        commit: '',
        status: 'running',
        startedAt,
      };
      const job = {
        facts,
        endsAt: durationMs === undefined ? undefined : startedAt + durationMs,
        told: false,
      };
      save({ runner: state.runner, job });
      witness({ kind: 'jobStarted', jobId: facts.jobId, durationMs });
      watchJob(job);
    },
    endJob: finishJob,
    get jobsKilled() {
      return jobsKilled;
    },
  };
}

function readState(file: string): RunnerState | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as RunnerState;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function writeState(file: string, state: RunnerState | undefined): void {
  if (state === undefined) {
    rmSync(file, { force: true });
    return;
  }
  writeFileSync(`${file}.tmp`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}
