/** The composition root: makes every part, joins them, starts and stops them in their order. */
import { setMaxListeners } from 'node:events';
import type { Clock } from '@mig/common/clock';
import { isFinal } from '@mig/common/domain/command-state';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { createAutoRegistration } from './commands/registration.js';
import { createCommandQueue } from './commands/command-queue.js';
import { createDrains } from './commands/drains.js';
import { createDeregistration } from './commands/deregistration.js';
import { createDelivery } from './commands/delivery.js';
import type { ControllerConfig } from './config.js';
import { createControllerEvents } from './fleet/controller-events.js';
import { createCordons } from './fleet/cordon.js';
import { createEventLog } from './fleet/event-log.js';
import { createFeed, type Change } from './fleet/feed.js';
import { createFleet } from './fleet/fleet.js';
import { createLinks } from './fleet/links.js';
import { createHeartbeatPolicy } from './fleet/heartbeat-policy.js';
import { createLosses } from './fleet/losses.js';
import { createRunnerFence } from './fleet/runner-fence.js';
import { reportSetAside } from './fleet/set-aside-events.js';
import { createRegistrar } from './github/create-registrar.js';
import { createHttpServer } from './http/server.js';
import { STOPPING_MESSAGE, crashWindowMs, sayFarewell } from './services/farewell.js';
import { createGrpcServer } from './services/grpc-server.js';
import { createInFlight } from './services/in-flight.js';
import { openFileStore } from './store/file/file-store.js';
import { openWork } from './work.js';

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
  /** Sends the MIGlets away, lets requests end, and resolves when everything is stored. */
  stop(): Promise<void>;
}

/** Deadlines are looked at this often. */
const SWEEP_MS = 1_000;
/** MIGlets that were told to close their streams have so long for it, at most. */
const FAREWELL_MS = 2_000;
/** VMs that are gone for long are looked for this often. */
const FORGET_MS = 10 * 60_000;

/** @throws DirectoryInUseError, DataDirectoryUnreadableError, or the system's error if a port or the data directory cannot be had */
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
  const stopping = new AbortController();
  // Each stream that has not said yet whose it is listens.
  setMaxListeners(0, stopping.signal);
  const inFlight = createInFlight();
  const feed = createFeed();
  const links = createLinks();
  const fleetLogger = logger.child({ part: 'fleet' });
  const heartbeatPolicy = createHeartbeatPolicy(
    { links, clock, logger: fleetLogger },
    { maxPerSecond: config.heartbeat.max_per_second },
  );
  const fleet = createFleet({
    store,
    links,
    feed,
    clock,
    logger: fleetLogger,
    liveness: { intervalMs: config.heartbeat.interval, lostAfterMs: config.heartbeat.lost_after },
    askedIntervalMs: heartbeatPolicy.intervalMs,
  });
  const events = createEventLog(store, feed, (event) => fleet.apply(event), logger.child({ part: 'events' }));
  const queue = createCommandQueue(
    {
      store,
      feed,
      clock,
      logger: logger.child({ part: 'commands' }),
      isConnected: (vmId) => links.get(vmId) !== undefined,
    },
    {
      maxOpenPerVm: config.limits.open_commands_per_vm,
      maxFinished: config.retention.finished_commands,
      finishedRetentionMs: config.retention.age,
    },
  );
  const drains = createDrains({
    store,
    queue,
    fleet,
    clock,
    logger: logger.child({ part: 'drains' }),
    poolLabels: (poolId) => config.pools[poolId]?.labels ?? [],
    retentionMs: config.retention.age,
  });
  const losses = createLosses({
    fleet,
    links,
    events,
    clock,
    logger: fleetLogger,
    requeueSent: (vmId) => queue.requeueSent(vmId),
    history: (vmId, limit) => store.events(vmId, { limit }),
  });
  const work = await openWork({
    config,
    clock,
    logger,
    random: deps.random,
    isKnown: (vmId) => fleet.get(vmId) !== undefined,
    loopbackOnly: isLoopback(config.grpc.host),
  });
  const registrar = createRegistrar(config, { clock, logger: logger.child({ part: 'github' }) });
  const managesRunners = config.github.auth !== 'none';
  const fence = createRunnerFence({
    fleet,
    labels: registrar,
    clock,
    logger: logger.child({ part: 'fence' }),
    random: deps.random,
    drainIdOf: (vmId) => drains.drainIdOf(vmId),
    managesRunners,
  });
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
  function logRegistration(vmId: string, queued: Promise<void>): void {
    queued.catch((error: unknown) =>
      logger.error({ vmId, reason: errorMessage(error) }, 'a registration could not be queued'),
    );
  }
  const controllerEvents = createControllerEvents({ events, clock, logger: fleetLogger });
  reportSetAside(store.setAside(), {
    events: controllerEvents,
    logger: fleetLogger,
    vmOf: (vmId) => fleet.get(vmId)?.record,
  });
  const cordons = createCordons({
    fleet,
    events: controllerEvents,
    clock,
    logger: fleetLogger,
    managesRunners,
    onChange(vmId) {
      fence.look(vmId);
      if (fleet.get(vmId)?.record.cordon !== undefined) return;
      logRegistration(vmId, autoRegistration.onUncordoned(vmId));
      delivery.kick(vmId);
    },
  });
  feed.subscribe((change) => {
    drains.onChange(change);
    fence.onChange(change);
    if (change.kind === 'link' && !stopping.signal.aborted) heartbeatPolicy.onChange();
    const vmId = vmToRegister(change);
    if (vmId !== undefined) logRegistration(vmId, autoRegistration.onChange(vmId));
    if (change.kind === 'command' && change.command.state === 'queued') delivery.kick(change.command.vmId);
  });

  let grpcPort = 0;
  const deregistration = createDeregistration({ fleet, queue, registrar: fence });
  const parts = {
    fleet,
    links,
    events,
    queue,
    drains,
    delivery,
    autoRegistration,
    deregistration,
    registrar,
    cordons,
    feed,
    tasks: work.tasks,
    jobs: work.jobs,
    authority: work.authority,
    store,
    stopping: stopping.signal,
    inFlight,
  };
  const http = await createHttpServer(
    {
      ...parts,
      logger: logger.child({ part: 'http' }),
      version: deps.version,
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      drainIdOf: (vmId) => drains.drainIdOf(vmId),
      notReady: () =>
        [
          stopping.signal.aborted ? 'the controller is stopping' : undefined,
          store.problem() ?? work.problem(),
        ].filter((reason) => reason !== undefined),
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
    heartbeatIntervalMs: heartbeatPolicy.intervalMs,
    reconnectWindowMs: () => crashWindowMs(links.count, config.shutdown.reconnect_per_second),
    now: () => clock.now(),
  });

  const timers = new Set<unknown>();
  function every(intervalMs: number, task: () => void): void {
    const timer = clock.setTimer(() => {
      timers.delete(timer);
      if (stopping.signal.aborted) return;
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
    await Promise.allSettled([grpc.stop(0), http.stop(0)]);
    await work.stop();
    await work.close();
    await store.close();
    throw error;
  }
  every(SWEEP_MS, () => {
    queue.sweep();
    drains.sweep();
    losses.sweep();
    fence.sweep();
    controllerEvents.sweep();
    work.sweep();
  });
  every(FORGET_MS, () => {
    fleet
      .forgetOld(config.retention.vms, (vmId) => queue.open(vmId).length > 0) // I1
      .then((vmIds) => vmIds.forEach((vmId) => logger.info({ vmId }, 'a VM that is long gone was forgotten')))
      .catch((error: unknown) =>
        logger.warn({ reason: errorMessage(error) }, 'old VMs could not be removed'),
      );
  });

  /** What is new is refused from the first moment; what was taken is stored and answered, within the deadline. */
  async function stop(): Promise<void> {
    const deadlineMs = clock.monotonicMs() + config.shutdown.deadline;
    const remainingMs = (): number => Math.max(0, deadlineMs - clock.monotonicMs());
    stopping.abort();
    for (const timer of timers) clock.clearTimer(timer);
    delivery.stop();
    heartbeatPolicy.stop();
    fence.stop();
    await sayFarewell(
      { links, feed, random: deps.random, logger },
      {
        perSecond: config.shutdown.reconnect_per_second,
        patienceMs: Math.min(FAREWELL_MS, config.shutdown.deadline / 4),
      },
    );
    await within(inFlight.settled(), remainingMs() / 2);
    links.closeAll({ kind: 'stopping', message: STOPPING_MESSAGE });
    await work.stop();
    await Promise.allSettled([http.stop(remainingMs()), grpc.stop(remainingMs())]);
    // What the last messages brought is handed to the store before it closes.
    await inFlight.settled();
    await losses.stop();
    await drains.stop();
    await work.close();
    await store.close();
  }

  let stopped: Promise<void> | undefined;
  return { httpPort, grpcPort, stop: () => (stopped ??= stop()) };
}

/** Resolves with the work, or after `patienceMs` without it. */
async function within(work: Promise<void>, patienceMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)));
  await Promise.race([work, patience]).finally(() => clearTimeout(timer));
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

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host.startsWith('127.');
