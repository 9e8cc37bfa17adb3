/** The composition root: opens the store, makes the parts, opens the ports, and ends everything in its order. */
import { neverBusy, type IsBusy } from '@mig/common/process-load';
import { setMaxListeners } from 'node:events';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { isLoopback } from './auth/auth-config.js';
import { maySee } from './auth/http-guard.js';
import type { ControllerConfig } from './config.js';
import { loadControllerId } from './controller-id.js';
import { createControllerParts } from './controller-parts.js';
import type { Fetch } from './github/client/fetch.js';
import { createHttpServer } from './http/server.js';
import { openGates } from './open-gates.js';
import { STOPPING_MESSAGE, crashWindowMs, sayFarewell } from './services/farewell.js';
import { createAgentAdmission } from './services/agent-admission.js';
import { createGrpcServer } from './services/grpc-server.js';
import { createSessions } from './services/sessions.js';
import { createStreamAdmission } from './services/stream-admission.js';
import { openFileStore } from './store/file/file-store.js';
import { openWork } from './work.js';

export interface ControllerDeps {
  readonly config: ControllerConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly version: string;
  /** Default: never. While it is, what is not urgent is done less often, and more of it at once. */
  readonly isBusy?: IsBusy | undefined;
  /** How GitHub is reached; default: directly. */
  readonly fetch?: Fetch | undefined;
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

/** @throws DirectoryInUseError, DataDirectoryUnreadableError, ControllerIdUnreadableError, or the system's error if a port or the data directory cannot be had */
export async function startController(deps: ControllerDeps): Promise<Controller> {
  const { config, clock, logger, isBusy = neverBusy } = deps;
  const store = await openFileStore({
    directory: config.data_dir,
    retention: {
      maxAgeMs: config.retention.age,
      maxEvents: config.retention.events,
      maxHeartbeats: config.retention.heartbeats,
    },
    clock,
    isBusy,
    logger: logger.child({ part: 'store' }),
  });
  const identity = { configured: config.controller_id, directory: config.data_dir };
  const controllerId = await loadControllerId(identity, logger).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const stopping = new AbortController();
  // Each stream that has not said yet whose it is listens.
  setMaxListeners(0, stopping.signal);
  const parts = createControllerParts({ ...deps, controllerId, store, stopping: stopping.signal });
  const { fleet, links, feed, queue, drains, delivery, losses, fence, heartbeatPolicy, autoRegistration } =
    parts;
  const work = await openWork({
    config,
    clock,
    logger,
    random: deps.random,
    isBusy,
    fleetPoolOf: (vmId) => fleet.get(vmId)?.record.poolId,
  }).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const gates = await openGates({ config, parts, work, clock, logger, random: deps.random, isBusy }).catch(
    async (error: unknown) => {
      await work.stop();
      await work.close();
      await store.close();
      throw error;
    },
  );
  const { auth, reach, door } = gates;
  const { unusedRegistrations } = parts;
  const { controllerEvents, github, webhooks, reconciler, inFlight } = parts;

  let grpcPort = 0;
  const http = await createHttpServer(
    {
      ...parts,
      ...work,
      auth,
      logger: logger.child({ part: 'http' }),
      version: deps.version,
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      drainIdOf: (vmId) => drains.drainIdOf(vmId),
      notReady: () =>
        [
          stopping.signal.aborted ? 'the controller is stopping' : undefined,
          store.problem() ?? work.problem(),
          auth.problem(),
        ].filter((reason) => reason !== undefined),
      warnings: gates.warnings,
      limitsReached: () => ({ ...auth.limits.counts(), ...door.counts() }),
      door,
      tls: gates.tlsOf('http'),
      maySeeDrain: (request, { id }) => (reach.drain(id) ?? []).every((poolId) => maySee(request, poolId)),
      grpcEndpoint: () =>
        config.grpc.advertised_endpoint ||
        (isLoopback(config.grpc.host) ? `${config.grpc.host}:${grpcPort}` : ''),
    },
    { bodyBytes: config.limits.body_bytes },
  );
  const grpc = createGrpcServer({
    ...parts,
    ...work,
    limits: auth.limits,
    sessionTokens: auth.sessions,
    door,
    agents: createAgentAdmission({ ...auth, door }),
    admission: createStreamAdmission({ ...auth, door }),
    sessions: createSessions(
      { gate: auth.gate, clock, logger: logger.child({ part: 'auth' }) },
      { lifetimeMs: config.auth.session.lifetime },
    ),
    tls: gates.tlsOf('grpc'),
    clock,
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
    door.close();
    await Promise.allSettled([grpc.stop(0), http.stop(0)]);
    gates.stop();
    await work.stop();
    await work.close();
    await gates.close();
    await store.close();
    throw error;
  }
  webhooks.start();
  reconciler?.start();
  every(SWEEP_MS, () => {
    queue.sweep();
    drains.sweep();
    losses.sweep();
    fence.sweep();
    autoRegistration.sweep();
    controllerEvents.sweep();
    work.sweep();
    auth.sweep();
    door.sweep();
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
    gates.stop();
    for (const timer of timers) clock.clearTimer(timer);
    delivery.stop();
    heartbeatPolicy.stop();
    fence.stop();
    unusedRegistrations.stop();
    const webhooksStopped = webhooks.stop();
    const reconcilerStopped = reconciler?.stop();
    await sayFarewell(
      { links, feed, random: deps.random, logger },
      {
        perSecond: config.shutdown.reconnect_per_second,
        patienceMs: Math.min(FAREWELL_MS, config.shutdown.deadline / 4),
      },
    );
    await within(inFlight.settled(), remainingMs() / 2);
    github.stop();
    links.closeAll({ kind: 'stopping', message: STOPPING_MESSAGE });
    await work.stop();
    door.close();
    await Promise.allSettled([http.stop(remainingMs()), grpc.stop(remainingMs())]);
    // What the last messages brought is handed to the store before it closes.
    await inFlight.settled();
    await within(webhooksStopped, remainingMs());
    await within(reconcilerStopped ?? Promise.resolve(), remainingMs());
    await losses.stop();
    await drains.stop();
    await work.close();
    await gates.close();
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
