/** The composition root: makes every part of the MIGlet, joins them to the machine, and runs it to its end. */
import { createActor, fromPromise, toPromise, type InspectionEvent } from 'xstate';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { retryable } from '@mig/common/outcome';
import { testPoint } from '@mig/common/test-points';
import { VERSION } from '@mig/common/version';
import type { VmHealth, VmIdentity } from '@mig/common/domain/vm';
import { createLinkActor } from './actors/link.actor.js';
import { executeCommand, type CommandEffects } from './commands.js';
import type { MigletConfig } from './config.js';
import type { ControllerAccess } from './controller-link/access.js';
import { announce, announceEarlierBoots } from './controller-link/announcer.js';
import { createCommandIntake } from './controller-link/command-intake.js';
import { createControllerLink } from './controller-link/controller-link.js';
import { createLinkAgent, readLinkTls, type LinkTls } from './controller-link/link-tls.js';
import { createCredentials } from './controller-link/credentials.js';
import type { BootFile } from './host/boot-file.js';
import type { ReadJoinProof } from './host/join-proof.js';
import { thisPlatform } from './host/platform.js';
import type { SessionFile } from './host/session-file.js';
import type { CommandJournal, EarlierBoot, EventJournal } from './journal/journal.js';
import type { Jobs, JobsContext } from './jobs/jobs.js';
import { limitsOf, settingsOf } from './limits.js';
import { createMigletMachine } from './machine/miglet-machine.js';
import { heartbeatIntervalOf, type MigletActors } from './machine/setup.js';
import { statusOf, type MigletStatus } from './machine/status.js';
import type { Ending } from './machine/types.js';
import { resumeCommands } from './resume.js';
import { withDiag, type EmitEvent } from './runner/diag/diag-events.js';
import type { Tasks, TasksContext } from './tasks/tasks.js';

/** What the MIGlet needs of the VM it runs on. The real ones are made by `createHost`; a simulated fleet has others. */
export interface MigletHost {
  readonly boot: BootFile;
  /** Oldest first; default: none. What they have left to tell goes before anything of this boot. */
  readonly earlierBoots?: readonly EarlierBoot[];
  readonly events: EventJournal;
  readonly commands: CommandJournal;
  /** Milliseconds since the machine's start, by which the journals count; default: they do not. */
  readonly uptimeMs?: () => number;
  /** What it joins by; default: nothing. */
  readonly joinProof?: ReadJoinProof | undefined;
  /** Where its session outlives the process; default: nowhere. */
  readonly session?: SessionFile;
  readonly runner: MigletActors['runner'];
  readonly configureRunner: MigletActors['configureRunner'];
  /** What takes long just now, for a person; empty = nothing does. Default: nothing ever does. */
  activity?(): string;
  /** The end of the runner's own logs, if there is anything new in them; default: they are not told. */
  readDiag?(): Record<string, string> | undefined;
  /** Called once, at the start: what the host does by itself is told as events. Default: it does nothing by itself. */
  tellTo?(emit: EmitEvent): void;
  sampleHealth(): Promise<VmHealth>;
  powerOff(): Promise<void>;
  /** Begins to take tasks from the controller; default: none are taken. */
  readonly startTasks?: ((deps: TasksContext) => Tasks) | undefined;
  /** Begins to take jobs from the controller's queue; default: none are taken. */
  readonly startJobs?: ((deps: JobsContext) => Jobs) | undefined;
}

export interface MigletDeps {
  readonly config: MigletConfig;
  readonly host: MigletHost;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface Miglet {
  /** As now; for those who watch it in the same process. */
  status(): MigletStatus;
  /** Asks for an orderly end; `force` ends a running job. */
  shutdown(reason: string, force: boolean): void;
  /** Resolves when the MIGlet has ended, with how. */
  readonly ended: Promise<Ending>;
}

const BOOT_REFUSED =
  'the state of the boot could not be written, and is forgotten if the MIGlet is killed: free space in the state folder';

export function startMiglet({ config, host, clock, logger, random }: MigletDeps): Miglet {
  const identity: VmIdentity = { vmId: config.vm_id, poolId: config.pool_id, orgId: config.org_id };
  const { boot } = host.boot;
  let grpcEndpoint = config.controller.grpc_endpoint;
  const tls = (): LinkTls | undefined =>
    config.controller.endpoint.startsWith('https:') ? readLinkTls(config.controller.tls) : undefined;
  const endpoint = (): string => grpcEndpoint || defaultGrpcEndpoint(config.controller.endpoint);

  // Made last, and told of what is asked of the machine from the first moment.
  let jobs: Jobs | undefined = undefined as Jobs | undefined;
  const commandEffects: CommandEffects = {
    send: (event) => {
      jobs?.onRequest(event);
      actor.send(event);
    },
    settle: (commandId, outcome) => link.settleCommand(commandId, outcome),
    setLogLevel: (level) => {
      logger.level = level;
    },
    labels: () => actor.getSnapshot().context.settings.labels,
    defaultRunnerName: config.vm_id,
  };
  const intake = createCommandIntake(
    host.commands,
    (id, type, parameters) => executeCommand(id, type, parameters, commandEffects),
    logger,
  );
  const agent = createLinkAgent(config.controller);
  const credentials = createCredentials({
    agent,
    identity,
    bootId: boot.bootId,
    endpoint: config.controller.endpoint,
    readProof: host.joinProof,
    file: host.session,
    clock,
    logger,
  });
  const link = createControllerLink({
    identity,
    bootId: boot.bootId,
    session: () => ({
      endpoint: endpoint(),
      keepaliveMs: config.controller.keepalive,
      keepaliveTimeoutMs: config.controller.keepalive_timeout,
      credentials,
      readTls: tls,
    }),
    onSessionToken: (token, expiresInMs) => credentials.renew(token, expiresInMs),
    events: host.events,
    commands: host.commands,
    intake,
    clock,
    logger,
  });

  const earlierBoots = [...(host.earlierBoots ?? [])];

  const status = (): MigletStatus => {
    const now = statusOf(actor.getSnapshot());
    return now.reason === '' ? { ...now, reason: host.activity?.() ?? '' } : now;
  };

  function beat(): void {
    host.boot.retry();
    host.sampleHealth().then(
      (health) => report(health),
      (error: unknown) => {
        logger.warn({ reason: errorMessage(error) }, 'the load of the machine could not be read');
        report(undefined);
      },
    );
  }

  /** State and send together, so that the controller never hears an older state after a newer one. */
  function report(health: VmHealth | undefined): void {
    const { state, reason, runner, job } = status();
    const intervalMs = heartbeatIntervalOf(actor.getSnapshot().context);
    link.sendHeartbeat({ state, stateReason: reason, health, runner, currentJob: job }, intervalMs);
  }

  const machine = createMigletMachine({
    emitEvent: withDiag(
      (type, data) => link.emitEvent(type, data),
      () => host.readDiag?.(),
    ),
    settleCommand: (commandId, result) => {
      const settle = (): void => link.settleCommand(commandId, result);
      // A drain has not ended while a job of the queue runs (I5).
      if (jobs === undefined) settle();
      else jobs.whenDrained(commandId, settle);
    },
    sendHeartbeat: beat,
    rememberDrained: (drained) => {
      host.boot.rememberDrained(drained);
      if (!host.boot.retry()) logger.error({ event: 'boot_refused', drained }, BOOT_REFUSED);
      testPoint('drain.remembered');
    },
    rememberRegistered: (names) => {
      host.boot.rememberRegistered(names);
      if (!host.boot.retry()) logger.error({ event: 'boot_refused', runners: names }, BOOT_REFUSED);
    },
    rememberEnded: () => {
      host.boot.rememberEnded();
      if (!host.boot.retry()) logger.error({ event: 'boot_refused' }, BOOT_REFUSED);
    },
  }).provide({
    actors: {
      announce: fromPromise(async ({ signal }) => {
        if (!host.events.holds('vm_started'))
          link.emitEvent('vm_started', { version: VERSION, miglet_state: status().state, ...thisPlatform() });
        if (!host.events.retry())
          return retryable('the announcement cannot be journaled: free space in the state folder');
        const to = { identity, endpoint: config.controller.endpoint, credentials, agent };
        const told = await announceEarlierBoots(earlierBoots, to, logger, signal);
        const outcome =
          told.kind === 'ok'
            ? await announce({ ...to, bootId: boot.bootId, journal: host.events }, signal)
            : told;
        if (outcome.kind !== 'ok') {
          logger.warn(
            { event: 'announce_failed', reason: outcome.reason },
            'the controller did not acknowledge vm_started',
          );
          return outcome;
        }
        grpcEndpoint = config.controller.grpc_endpoint || outcome.value.grpcEndpoint;
        return { kind: 'ok', value: undefined };
      }),
      link: createLinkActor(
        link,
        () => ({
          ...identity,
          version: VERSION,
          bootId: boot.bootId,
          state: status().state,
          labels: actor.getSnapshot().context.settings.labels,
        }),
        (reason) => logger.warn({ event: 'disconnected', reason }, 'the stream to the controller ended'),
      ),
      runner: host.runner,
      configureRunner: host.configureRunner,
      deregister: fromPromise(({ input, signal }) => link.deregister(input.runnerName, signal)),
      flush: fromPromise(() => link.flushed()),
      powerOff: fromPromise(async () => {
        await jobs?.idle();
        await host.powerOff();
      }),
    },
  });

  const actor = createActor(machine, {
    input: {
      settings: settingsOf(config),
      limits: limitsOf(config),
      random,
      drained: boot.drained,
      registeredAs: boot.registeredAs,
    },
    clock: {
      setTimeout: (callback, delayMs) => clock.setTimer(callback, delayMs),
      clearTimeout: (timer) => clock.clearTimer(timer),
    },
    inspect: (event) => logDropped(event, logger),
  });

  let lastState = '';
  actor.subscribe({
    next: () => {
      const { state, reason } = status();
      if (state === lastState) return;
      logger.info(
        { event: 'state', from: lastState, to: state, ...(reason === '' ? {} : { reason }) },
        state,
      );
      lastState = state;
      actor.send({ type: 'heartbeat.due' });
    },
    error: (error) => logger.fatal({ err: error }, 'the machine failed'),
  });

  logger.info(
    { event: 'starting', ...identity, bootId: boot.bootId, resumed: boot.resumed, version: VERSION },
    'the MIGlet starts',
  );
  host.tellTo?.((type, data) => link.emitEvent(type, data));
  actor.start();
  resumeCommands(host.commands, boot.resumed, {
    uptimeMs: host.uptimeMs ?? (() => 0),
    drainDeadlineMs: config.drain.deadline,
    begin: (id, type, parameters) => executeCommand(id, type, parameters, commandEffects),
    settle: (id, outcome) => link.settleCommand(id, outcome),
  });

  const access: ControllerAccess = { endpoint, tls, credentials };
  const tasks = host.startTasks?.({ access, clock, logger: logger.child({ part: 'tasks' }), random });
  jobs = host.startJobs?.({ access, status, clock, logger: logger.child({ part: 'jobs' }), random });

  return {
    status,
    shutdown: (reason, force) =>
      commandEffects.send({ type: 'shutdown.request', commandId: undefined, reason, force, poweroff: false }),
    ended: toPromise(actor).then(async (ending) => {
      await jobs?.idle();
      await jobs?.stop('the MIGlet ends');
      await tasks?.stop('the MIGlet ends');
      await link.closed();
      logger.info({ event: 'ended', outcome: ending.outcome, reason: ending.reason }, 'the MIGlet has ended');
      return ending;
    }),
  };
}

/** Port 50051 of the host of HTTP. */
function defaultGrpcEndpoint(httpEndpoint: string): string {
  return `${new URL(httpEndpoint).hostname}:50051`;
}

/** An event that no state takes is a fault of the machine: it must be seen. */
function logDropped(inspection: InspectionEvent, logger: Logger): void {
  if (inspection.type !== '@xstate.microstep' || inspection.actorRef.sessionId !== inspection.rootId) return;
  if (inspection._transitions.length === 0)
    logger.warn({ type: inspection.event.type }, 'the machine took no notice of an event');
}
