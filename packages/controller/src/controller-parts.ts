/** Makes the parts of the controller and joins them, without its edges: no port is opened, and nothing begins. */
import type { Clock } from '@mig/common/clock';
import { isFinal, type CommandState } from '@mig/common/domain/command-state';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { createAutoRegistration } from './commands/registration.js';
import { createCommandQueue } from './commands/command-queue.js';
import { createDrains } from './commands/drains.js';
import { createDeregistration } from './commands/deregistration.js';
import { createDelivery } from './commands/delivery.js';
import { createMinting } from './commands/minting.js';
import { createUnusedRegistrations } from './commands/unused-registrations.js';
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
import type { Fetch } from './github/client/fetch.js';
import { createGitHub } from './github/create-github.js';
import { createReconciliation } from './github/reconciliation/create-reconciliation.js';
import { createWebhooks } from './github/webhooks/create-webhooks.js';
import { createInFlight } from './services/in-flight.js';
import type { Store } from './store/store.js';

export interface ControllerPartsDeps {
  readonly config: ControllerConfig;
  readonly controllerId: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  /** How GitHub is reached; default: directly. */
  readonly fetch?: Fetch | undefined;
  /** Aborted when the controller begins to stop. */
  readonly stopping: AbortSignal;
}

export type ControllerParts = ReturnType<typeof createControllerParts>;

export function createControllerParts(deps: ControllerPartsDeps) {
  const { config, controllerId, store, clock, logger, stopping } = deps;
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
      goesTo: (vmId): string | undefined => delivery.goesTo(vmId),
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
  const github = createGitHub(config, controllerId, {
    fleet,
    clock,
    logger: logger.child({ part: 'github' }),
    fetch: deps.fetch,
  });
  const { registrar } = github;
  const unusedRegistrations = createUnusedRegistrations({
    fleet,
    queue,
    registrar,
    clock,
    logger: logger.child({ part: 'registration' }),
    random: deps.random,
  });
  const minting = createMinting({ registrar, clock, onMinted: unusedRegistrations.onMinted });
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
    minting,
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
  const { ownership, client } = github;
  const webhooks = createWebhooks({ store, fleet, ownership, client, clock, logger }, config);
  webhooks.jobs.onChange((job) => feed.publish({ kind: 'workflowJob', job }));
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
  const reconciler = createReconciliation(
    {
      github,
      fleet,
      queue,
      drains,
      events: controllerEvents,
      jobs: webhooks.jobs,
      clock,
      logger,
      random: deps.random,
    },
    config.github,
  );
  feed.subscribe((change) => {
    drains.onChange(change);
    fence.onChange(change);
    unusedRegistrations.onChange(change);
    if (change.kind === 'link' && !stopping.aborted) heartbeatPolicy.onChange();
    const vmId = vmToRegister(change);
    if (vmId !== undefined) logRegistration(vmId, autoRegistration.onChange(vmId));
    if (isRegistered(change)) autoRegistration.onCompleted(change.command.vmId);
    if (change.kind === 'command' && change.command.state === 'queued') delivery.kick(change.command.vmId);
    // The VM has what was minted for it, or will never get it.
    if (change.kind === 'command' && !isUndelivered(change.command.state)) minting.forget(change.command.id);
  });

  const deregistration = createDeregistration({
    fleet,
    queue,
    registrar: fence,
    isRunnerOf: github.isRunnerOf,
  });
  return {
    fleet,
    links,
    events,
    queue,
    drains,
    delivery,
    autoRegistration,
    deregistration,
    registrar,
    minting,
    unusedRegistrations,
    runnerDownloads: managesRunners ? github.runnerDownloads : undefined,
    cordons,
    webhooks,
    github,
    reconciler,
    feed,
    store,
    stopping,
    losses,
    fence,
    heartbeatPolicy,
    controllerEvents,
    inFlight,
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

function isRegistered(change: Change): change is Extract<Change, { kind: 'command' }> {
  if (change.kind !== 'command') return false;
  return change.command.type === 'register_runner' && change.command.state === 'completed';
}

const isUndelivered = (state: CommandState): boolean => state === 'queued' || state === 'sent';
