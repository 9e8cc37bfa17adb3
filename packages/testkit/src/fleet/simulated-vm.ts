/**
 * A VM without a machine: the real MIGlet (machine, link, journals) on a host that is all in memory. Its runner runs no
 * process; the test says when a job starts and ends.
 */
import { randomUUID } from 'node:crypto';
import { fromCallback, fromPromise } from 'xstate';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { JobStatus, VmHealth } from '@mig/common/domain/vm';
import { migletConfigSchema } from '@mig/miglet/config';
import { createCommandJournal } from '@mig/miglet/journal/command-journal';
import { createEventJournal } from '@mig/miglet/journal/event-journal';
import type {
  ConfigureOutcome,
  Ending,
  MigletEvent,
  Registration,
  RunnerFacts,
  RunnerRequest,
} from '@mig/miglet/machine/types';
import type { MigletStatus } from '@mig/miglet/machine/status';
import { startMiglet, type MigletHost } from '@mig/miglet/miglet';

export interface SimulatedVmOptions {
  readonly vmId: string;
  readonly poolId: string;
  readonly orgId: string;
  /** HTTP of the controller, `http://127.0.0.1:8080`. */
  readonly endpoint: string;
  /** HOST:PORT of its gRPC. Default: as the controller says. */
  readonly grpcEndpoint?: string;
  /** As in a configuration file: `15s`. */
  readonly heartbeatInterval: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface SimulatedVm {
  readonly vmId: string;
  status(): MigletStatus;
  /** GitHub gives the runner a job. Nothing happens unless the runner listens and has none. */
  startJob(name: string): void;
  endJob(result: string): void;
  /** Jobs that were ended by anything but `endJob`. */
  readonly jobsKilled: number;
  shutdown(reason: string, force: boolean): void;
  readonly ended: Promise<Ending>;
}

/** An idle machine of a usual size. */
const HEALTH: VmHealth = {
  cpuUsagePercent: 1,
  memoryUsagePercent: 12.5,
  diskUsagePercent: 25,
  memoryTotalBytes: 16 * 2 ** 30,
  memoryUsedBytes: 2 * 2 ** 30,
  diskTotalBytes: 100 * 2 ** 30,
  diskUsedBytes: 25 * 2 ** 30,
};

export function startSimulatedVm(options: SimulatedVmOptions): SimulatedVm {
  const runner = createSimulatedRunner(options.clock);
  const host: MigletHost = {
    boot: {
      boot: { bootId: randomUUID(), drained: false, resumed: false },
      rememberDrained: () => undefined,
      rememberEnded: () => undefined,
    },
    events: createEventJournal(undefined, []),
    commands: createCommandJournal(undefined, []),
    runner: runner.logic,
    configureRunner: fromPromise<ConfigureOutcome, { registration: Registration }>(() =>
      Promise.resolve({ kind: 'ok', value: undefined }),
    ),
    sampleHealth: () => Promise.resolve(HEALTH),
    powerOff: () => Promise.resolve(),
  };
  const config = migletConfigSchema(options.vmId).parse({
    pool_id: options.poolId,
    org_id: options.orgId,
    controller: {
      endpoint: options.endpoint,
      grpc_endpoint: options.grpcEndpoint ?? '',
      reconnect_first: '500ms',
      reconnect_max: '5s',
    },
    heartbeat: { interval: options.heartbeatInterval },
  });
  const miglet = startMiglet({
    config,
    host,
    clock: options.clock,
    logger: options.logger,
    random: options.random,
  });
  return {
    vmId: options.vmId,
    status: () => miglet.status(),
    startJob: (name) => runner.startJob(name),
    endJob: (result) => runner.endJob(result),
    get jobsKilled() {
      return runner.jobsKilled;
    },
    shutdown: (reason, force) => miglet.shutdown(reason, force),
    ended: miglet.ended,
  };
}

interface SimulatedRunner {
  readonly logic: MigletHost['runner'];
  startJob(name: string): void;
  endJob(result: string): void;
  readonly jobsKilled: number;
}

/** Does what the real runner does, as the machine sees it: listens, runs one job at a time, ends when it is told to. */
function createSimulatedRunner(clock: Clock): SimulatedRunner {
  let tell: (event: MigletEvent) => void = () => undefined;
  let alive: RunnerFacts | undefined;
  let job: JobStatus | undefined;
  let jobsKilled = 0;

  function end(exit: { code: number | undefined; signal: string | undefined }): void {
    if (alive === undefined) return;
    if (job !== undefined) jobsKilled += 1;
    alive = undefined;
    job = undefined;
    tell({ type: 'runner.exited', ...exit });
  }

  return {
    logic: fromCallback<RunnerRequest>(({ receive, sendBack }) => {
      tell = sendBack;
      receive((request) => {
        switch (request.type) {
          case 'start':
            alive = { name: request.registration.runnerName, labels: request.registration.labels };
            tell({ type: 'runner.started', runner: alive });
            tell({ type: 'runner.listening' });
            return;
          case 'stop':
            end({ code: 0, signal: undefined });
            return;
          case 'kill':
            end({ code: undefined, signal: 'SIGKILL' });
        }
      });
    }),
    startJob(name) {
      if (alive === undefined || job !== undefined) return;
      job = {
        jobId: `${alive.name}-${clock.now()}`,
        runId: '',
        name,
        repository: '',
        branch: '',
        commit: '',
        status: 'running',
        startedAt: clock.now(),
      };
      tell({ type: 'job.started', job });
    },
    endJob(result) {
      if (job === undefined) return;
      const ended: JobStatus = { ...job, status: result === 'Succeeded' ? 'completed' : 'failed' };
      job = undefined;
      tell({ type: 'job.finished', job: ended, result });
    },
    get jobsKilled() {
      return jobsKilled;
    },
  };
}
