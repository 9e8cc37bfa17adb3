/** Owns the runner's process for the life of the machine: starts, watches and ends it, and tells what it does. */
import { fromCallback } from 'xstate';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { JobStatus } from '@mig/common/domain/vm';
import type { MigletEvent, Registration, RunnerRequest } from '../machine/types.js';
import {
  adoptListener,
  startListener,
  type Listener,
  type ListenerHandlers,
  type ListenerOptions,
} from '../runner/listener.js';

export interface RunnerActorDeps {
  readonly listener: Omit<ListenerOptions, 'onNoteRefused'>;
  readonly logger: Logger;
}

export function createRunnerActor({ listener: given, logger }: RunnerActorDeps) {
  const options: ListenerOptions = {
    ...given,
    onNoteRefused: (reason) =>
      logger.error({ event: 'note_refused', reason }, 'the note of the runner was not written'),
  };
  return fromCallback<RunnerRequest>(({ receive, sendBack }) => {
    const tell = sendBack as (event: MigletEvent) => void;
    let listener: Listener | undefined;
    let job: JobStatus | undefined;
    let stopped = false;

    const handlers: ListenerHandlers = {
      onLine(line, known, ordinal) {
        switch (line.kind) {
          case 'listening':
            tell({ type: 'runner.listening' });
            return;
          case 'jobStarted':
            job = newJob(listener?.runner.name ?? '', line.name, line.at, ordinal);
            tell({ type: 'job.started', job, known });
            return;
          case 'jobCompleted':
            if (job === undefined) return;
            tell({
              type: 'job.finished',
              job: { ...job, status: jobStatus(line.result) },
              result: line.result,
              known,
            });
            job = undefined;
        }
      },
      onExit(exit) {
        listener = undefined;
        job = undefined;
        tell({ type: 'runner.exited', ...exit });
      },
    };

    async function start(registration: Registration): Promise<void> {
      try {
        const started = await startListener(registration, options, handlers);
        listener = started;
        tell({ type: 'runner.started', runner: started.runner });
        if (stopped) started.release();
      } catch (error) {
        logger.error({ reason: errorMessage(error) }, 'the runner could not be started');
        // The machine sees a process that ended at once: it backs off and tries again.
        tell({ type: 'runner.exited', code: undefined, signal: undefined });
      }
    }

    receive((request) => {
      switch (request.type) {
        case 'start':
          void start(request.registration);
          return;
        case 'stop':
          if (listener === undefined) tell({ type: 'runner.exited', code: undefined, signal: undefined });
          else listener.interrupt();
          return;
        case 'kill':
          listener?.kill();
      }
    });

    listener = adoptListener(options, handlers);
    if (listener !== undefined) {
      logger.warn({ runner: listener.runner.name }, 'a runner of an earlier MIGlet process is still running');
      tell({ type: 'runner.started', runner: listener.runner });
    }

    return () => {
      stopped = true;
      // The brake ends the watching, never the runner: a job may be running.
      listener?.release();
    };
  });
}

/** GitHub does not tell a runner the number of its job: this id names it on this VM, the same however often it is read. */
const newJob = (runnerName: string, name: string, startedAt: number, ordinal: number): JobStatus => ({
  jobId: `${runnerName}-${Math.floor(startedAt / 1000)}-${ordinal}`,
  runId: '',
  name,
  repository: '',
  branch: '',
  commit: '',
  status: 'running',
  startedAt,
});

const jobStatus = (result: string): JobStatus['status'] =>
  result.startsWith('Succeeded') ? 'completed' : 'failed';
