/**
 * A VM without a machine: the real MIGlet (machine, link, journals) with a runner that runs nothing; the test says when a job
 * starts and ends.
 *
 * Its state is in memory, and ends with it, or in a folder, as a real MIGlet keeps it: then its process may be killed, and
 * the one that is started after it is in the same boot, with the same commands, events and runner.
 */
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { fromPromise } from 'xstate';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { VmHealth } from '@mig/common/domain/vm';
import { migletConfigSchema } from '@mig/miglet/config';
import { createHost } from '@mig/miglet/host/host';
import { createCommandJournal } from '@mig/miglet/journal/command-journal';
import { createEventJournal } from '@mig/miglet/journal/event-journal';
import type { ConfigureOutcome, Ending, Registration } from '@mig/miglet/machine/types';
import type { MigletStatus } from '@mig/miglet/machine/status';
import { startMiglet, type MigletHost } from '@mig/miglet/miglet';
import type { ConnectedRunner } from './connected-runner.js';
import { createSimulatedRunner } from './simulated-runner.js';
import { witnessHost, witnessLogger, type Witness } from './witness.js';

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
  /** Where it keeps its boot, its journals and its runner. Undefined = in memory. */
  readonly stateDirectory?: string | undefined;
  /** Bounds of the waits before it connects again, as in a configuration file. Default `500ms` and `5s`. */
  readonly reconnect?: { readonly first: string; readonly max: string } | undefined;
  /** How long it waits after a failed registration, and how many in a row it takes. Default: as a MIGlet has it. */
  readonly registration?:
    { readonly first: string; readonly max: string; readonly failures: number } | undefined;
  /** Is told what it does. */
  readonly witness?: Witness | undefined;
  /** Labels of its own, beside those of its pool. Default none. */
  readonly labels?: readonly string[];
  /** In place of the runner that `startJob` and `endJob` drive: one that gets its jobs elsewhere. */
  readonly runner?: ConnectedRunner | undefined;
}

export interface SimulatedVm {
  readonly vmId: string;
  status(): MigletStatus;
  /**
   * GitHub gives the runner a job. Nothing happens unless the runner listens and has none.
   * @param durationMs it ends by itself after this; undefined = by `endJob`
   */
  startJob(name: string, durationMs?: number): void;
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

/** @throws the file system's error if the state folder cannot be used */
export function startSimulatedVm(options: SimulatedVmOptions): SimulatedVm {
  const { clock, stateDirectory, registration } = options;
  const witness = options.witness ?? (() => undefined);
  const logger = options.witness === undefined ? options.logger : witnessLogger(options.logger, witness);
  const config = migletConfigSchema(options.vmId).parse({
    pool_id: options.poolId,
    org_id: options.orgId,
    ...(stateDirectory === undefined ? {} : { state_dir: stateDirectory }),
    controller: {
      endpoint: options.endpoint,
      grpc_endpoint: options.grpcEndpoint ?? '',
      reconnect_first: options.reconnect?.first ?? '500ms',
      reconnect_max: options.reconnect?.max ?? '5s',
    },
    heartbeat: { interval: options.heartbeatInterval },
    runner: { labels: options.labels ?? [] },
    ...(registration === undefined
      ? {}
      : {
          registration: {
            retry_first: registration.first,
            retry_max: registration.max,
            max_failures: registration.failures,
          },
        }),
  });
  const onDisk = stateDirectory === undefined ? undefined : createHost({ config, env: process.env, logger });
  const kept = onDisk ?? createMemory();
  const file = stateDirectory === undefined ? undefined : path.join(stateDirectory, 'simulated-runner.json');
  const runner = createSimulatedRunner({ clock, file, witness });
  const host: MigletHost = {
    ...kept,
    runner: options.runner?.logic ?? runner.logic,
    configureRunner:
      options.runner?.configure ??
      fromPromise<ConfigureOutcome, { registration: Registration }>(({ input }) => {
        witness({ kind: 'configured', commandId: input.registration.commandId });
        return Promise.resolve({ kind: 'ok', value: undefined });
      }),
    sampleHealth: () => Promise.resolve(HEALTH),
    powerOff: () => Promise.resolve(),
  };
  const miglet = startMiglet({
    config,
    host: options.witness === undefined ? host : witnessHost(host, witness),
    clock,
    logger,
    random: options.random,
  });
  return {
    vmId: options.vmId,
    status: () => miglet.status(),
    startJob: (name, durationMs) => runner.startJob(name, durationMs),
    endJob: (result) => runner.endJob(result),
    get jobsKilled() {
      return runner.jobsKilled;
    },
    shutdown: (reason, force) => miglet.shutdown(reason, force),
    ended: miglet.ended.then((ending) => {
      onDisk?.release();
      return ending;
    }),
  };
}

const createMemory = (): Pick<MigletHost, 'boot' | 'events' | 'commands'> => ({
  boot: {
    boot: { bootId: randomUUID(), drained: false, registeredAs: [], resumed: false },
    rememberDrained: () => undefined,
    rememberRegistered: () => undefined,
    rememberEnded: () => undefined,
    retry: () => true,
  },
  events: createEventJournal(undefined, []),
  commands: createCommandJournal(undefined, []),
});
