/** The composition root: makes every part, joins them, starts and stops them in their order. */
import type { Clock } from '@mig/common/clock';
import { isFinal } from '@mig/common/domain/command-state';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { createAutoRegistration } from './commands/registration.js';
import { createCommandQueue } from './commands/command-queue.js';
import { createDeregistration } from './commands/deregistration.js';
import { createDelivery } from './commands/delivery.js';
import type { RunnerRegistrar } from './commands/registrar.js';
import type { ControllerConfig } from './config.js';
import { createEventLog } from './fleet/event-log.js';
import { createFeed, type Change } from './fleet/feed.js';
import { createFleet } from './fleet/fleet.js';
import { createLinks } from './fleet/links.js';
import { createGitHubRegistrar } from './github/github-registrar.js';
import { noRegistrar } from './github/no-registrar.js';
import { createHttpServer } from './http/server.js';
import { createGrpcServer } from './services/grpc-server.js';
import { openFileStore } from './store/file/file-store.js';

export interface ControllerDeps {
  readonly config: ControllerConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly version: string;
}

export interface Controller {
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Ends streams with a reason, lets requests end, and resolves when everything is stored. */
  stop(): Promise<void>;
}

/** Deadlines are looked at this often. */
const SWEEP_MS = 1_000;
/** VMs that are gone for long are looked for this often. */
const FORGET_MS = 10 * 60_000;

/** @throws DataDirectoryInUseError, or the system's error if a port or the data directory cannot be had */
export async function startController(deps: ControllerDeps): Promise<Controller> {
  const { config, clock, logger } = deps;
  const store = await openFileStore({
    directory: config.data_dir,
    retention: {
      maxAgeMs: config.retention.age,
      maxEvents: config.retention.events,
      maxHeartbeats: config.retention.heartbeats,
    },
    clock,
    logger: logger.child({ part: 'store' }),
  });
  const feed = createFeed();
  const links = createLinks();
  const fleet = createFleet({
    store,
    links,
    feed,
    clock,
    logger: logger.child({ part: 'fleet' }),
    liveness: { intervalMs: config.heartbeat.interval, lostAfterMs: config.heartbeat.lost_after },
  });
  const events = createEventLog(store, feed, (event) => fleet.apply(event), logger.child({ part: 'events' }));
  const queue = createCommandQueue(
    { store, feed, clock, logger: logger.child({ part: 'commands' }) },
    {
      maxOpenPerVm: config.limits.open_commands_per_vm,
      maxFinished: config.retention.finished_commands,
      finishedRetentionMs: config.retention.age,
    },
  );
  const registrar = createRegistrar(deps);
  const delivery = createDelivery({
    queue,
    fleet,
    links,
    registrar,
    clock,
    logger: logger.child({ part: 'delivery' }),
    random: deps.random,
  });
  const autoRegistration = createAutoRegistration({
    queue,
    fleet,
    links,
    clock,
    logger: logger.child({ part: 'registration' }),
  });
  feed.subscribe((change) => {
    const vmId = vmToRegister(change);
    if (vmId !== undefined) {
      autoRegistration
        .onChange(vmId)
        .catch((error: unknown) =>
          logger.error({ vmId, reason: errorMessage(error) }, 'a registration could not be queued'),
        );
    }
    if (change.kind === 'command' && change.command.state === 'queued') delivery.kick(change.command.vmId);
  });

  let stopping = false;
  let grpcPort = 0;
  const deregistration = createDeregistration({ fleet, queue, registrar });
  const parts = {
    fleet,
    links,
    events,
    queue,
    delivery,
    autoRegistration,
    deregistration,
    registrar,
    feed,
    store,
  };
  const http = await createHttpServer(
    {
      ...parts,
      logger: logger.child({ part: 'http' }),
      version: deps.version,
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      notReady: () =>
        [stopping ? 'the controller is stopping' : undefined, store.problem()].filter(
          (reason) => reason !== undefined,
        ),
      grpcEndpoint: () =>
        config.grpc.advertised_endpoint ||
        (isLoopback(config.grpc.host) ? `${config.grpc.host}:${grpcPort}` : ''),
    },
    { bodyBytes: config.limits.body_bytes },
  );
  const grpc = createGrpcServer({
    ...parts,
    logger: logger.child({ part: 'grpc' }),
    version: deps.version,
    heartbeatIntervalMs: 0,
    now: () => clock.now(),
  });

  const timers = new Set<unknown>();
  function every(intervalMs: number, task: () => void): void {
    const timer = clock.setTimer(() => {
      timers.delete(timer);
      if (stopping) return;
      task();
      every(intervalMs, task);
    }, intervalMs);
    timers.add(timer);
  }

  let httpPort: number;
  try {
    // gRPC first: its port is part of what HTTP answers.
    grpcPort = await grpc.listen(config.grpc.host, config.grpc.port);
    httpPort = await http.listen(config.http.host, config.http.port);
  } catch (error) {
    await Promise.allSettled([grpc.stop(0), http.stop()]);
    await store.close();
    throw error;
  }
  every(SWEEP_MS, () => queue.sweep());
  every(FORGET_MS, () => {
    fleet
      .forgetOld(config.retention.vms, (vmId) => queue.open(vmId).length > 0) // I1
      .then((vmIds) => vmIds.forEach((vmId) => logger.info({ vmId }, 'a VM that is long gone was forgotten')))
      .catch((error: unknown) =>
        logger.warn({ reason: errorMessage(error) }, 'old VMs could not be removed'),
      );
  });

  return {
    httpPort,
    grpcPort,
    async stop() {
      if (stopping) return;
      stopping = true;
      for (const timer of timers) clock.clearTimer(timer);
      delivery.stop();
      links.closeAll({ kind: 'stopping', message: 'the controller is stopping: connect again' });
      await Promise.allSettled([http.stop(), grpc.stop(config.shutdown.deadline)]);
      await store.close();
    },
  };
}

/**
 * The VM that may need a registration after this change: its state changed, or its registration came to nothing. One that
 * was completed is followed by the VM's own new state; until that comes, the record still says that it waits.
 */
function vmToRegister(change: Change): string | undefined {
  if (change.kind === 'vm') return change.vm.vmId;
  if (change.kind !== 'command') return undefined;
  const { type, state, vmId } = change.command;
  return type === 'register_runner' && isFinal(state) && state !== 'completed' ? vmId : undefined;
}

function createRegistrar({ config, clock, logger }: ControllerDeps): RunnerRegistrar {
  if (config.github.auth === 'none') return noRegistrar;
  return createGitHubRegistrar(
    { clock, logger: logger.child({ part: 'github' }) },
    {
      apiUrl: config.github.api_url,
      webUrl: config.github.web_url || webUrlOf(config.github.api_url),
      tokenFile: config.github.token_file,
      defaultOrg: config.github.org,
      poolOf: (poolId) => {
        const pool = config.pools[poolId];
        return { labels: pool?.labels ?? [], runnerGroup: pool?.runner_group ?? '' };
      },
    },
  );
}

/** GitHub's web address for an API address: api.github.com -> github.com, HOST/api/v3 -> HOST. */
const webUrlOf = (apiUrl: string): string =>
  apiUrl === 'https://api.github.com' ? 'https://github.com' : apiUrl.replace(/\/api\/v3\/?$/, '');

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host.startsWith('127.');
