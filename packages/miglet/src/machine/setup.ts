/**
 * The vocabulary of the machine: its actors, guards, actions and delays, by name. The chart is in miglet-machine.ts.
 */
import { backoffDelayMs } from '@mig/common/backoff';
import { assign, fromCallback, fromPromise, sendTo, setup } from 'xstate';
import { deadlineOf, isShorter, shortestDeadline } from './deadlines.js';
import { DRAINED_BEFORE, endingOf } from './describe.js';
import { createHangs } from './hangs.js';
import { deregisterTriesOf, registeredNames, unused } from './registrations.js';
import { createTimers } from './timers.js';
import type {
  AnnounceOutcome,
  CommandResult,
  ConfigureOutcome,
  DeregisterAnswer,
  DrainRequest,
  Ending,
  Hang,
  MigletContext,
  MigletEffects,
  MigletEvent,
  MigletInput,
  Registration,
  RunnerExited,
  RunnerJob,
  RunnerPause,
  RunnerRequest,
  ShutdownRequest,
} from './types.js';

const RUNNER_ACTOR = 'runner';
/** A controller that takes heartbeats less often than this gets them this often: it must be told at times that the VM lives. */
const MAX_HEARTBEAT_MS = 3_600_000;
/** A controller that says to stay away longer is called again after this. */
const MAX_RECONNECT_MS = 600_000;

/** The actors that the machine invokes, by name; `provide` puts the real ones in their place. */
const actorPlaceholders = {
  /** Sends `vm_started` once, with every event before it that is not yet acknowledged. */
  announce: fromPromise<AnnounceOutcome>(() => Promise.reject(new Error('actor announce is not provided'))),
  /** Holds one stream: sends link.up and link.down, and the commands that come. */
  link: fromCallback<MigletEvent>(() => undefined),
  /** Owns the runner's process: takes RunnerRequests, sends runner.* and job.* events. */
  runner: fromCallback<RunnerRequest>(() => undefined),
  configureRunner: fromPromise<ConfigureOutcome, { registration: Registration }>(() =>
    Promise.reject(new Error('actor configureRunner is not provided')),
  ),
  /** Asks the controller to have the registration deleted. */
  deregister: fromPromise<DeregisterAnswer, { runnerName: string }>(() =>
    Promise.reject(new Error('actor deregister is not provided')),
  ),
  /** Resolves when the controller has acknowledged everything. */
  flush: fromPromise<void>(() => Promise.reject(new Error('actor flush is not provided'))),
  powerOff: fromPromise<void>(() => Promise.reject(new Error('actor powerOff is not provided'))),
};

/** The actors that a MIGlet provides. */
export type MigletActors = typeof actorPlaceholders;

/** What the regions of the machine are made with. */
export type MachineParts = ReturnType<typeof createMachineSetup>;
export type MachineVocabulary = ReturnType<typeof createVocabulary>;

/** @param effects what the actions do to the world */
export function createMachineSetup(effects: MigletEffects) {
  const machineSetup = createVocabulary(effects);
  /** After every change of what GitHub may know, and before anything follows from it. */
  const remember = {
    type: 'rememberRegistered',
    params: ({ context }: { context: MigletContext }) => ({ names: registeredNames(context) }),
  } as const;
  return { machineSetup, remember, ...createTimers(machineSetup), ...createHangs(machineSetup) };
}

function createVocabulary(effects: MigletEffects) {
  return setup({
    types: {
      context: {} as MigletContext,
      events: {} as MigletEvent,
      input: {} as MigletInput,
      output: {} as Ending,
    },
    actors: actorPlaceholders,
    delays: {
      announceBackoff: ({ context }) =>
        backoffDelayMs(context.limits.announceBackoff, context.announceFailures - 1, context.random),
      reconnectDelay: ({ context }) => reconnectDelayMs(context),
      toldReconnect: ({ context }) => context.reconnectAfterMs,
      registrationBackoff: ({ context }) =>
        backoffDelayMs(context.limits.registrationBackoff, context.registrationFailures - 1, context.random),
      minimumUptime: ({ context }) => context.limits.minimumUptimeMs,
      connectTimeout: ({ context }) => context.limits.connectTimeoutMs,
      configureTimeout: ({ context }) => context.limits.configureTimeoutMs,
      startTimeout: ({ context }) => context.limits.startTimeoutMs,
      stableReady: ({ context }) => context.limits.stableReadyMs,
      deregisterTimeout: ({ context }) => context.limits.deregisterTimeoutMs,
      deregisterRetry: ({ context }) => context.limits.deregisterRetryMs,
      lingerRetry: ({ context }) => context.limits.lingerRetryMs,
      stopGrace: ({ context }) => context.limits.stopGraceMs,
      flushTimeout: ({ context }) => context.limits.flushTimeoutMs,
      fenceAfter: ({ context }) => context.limits.fenceAfterMs,
      heartbeatInterval: ({ context }) => heartbeatIntervalOf(context),
      heartbeatSpread: ({ context }) => Math.round(context.random() * heartbeatIntervalOf(context)),
      drainDeadline: ({ context }) => shortestDeadline(context) ?? 0,
    },
    guards: {
      linkUp: ({ context }) => context.linkUp,
      hasRegistration: ({ context }) => context.registration !== undefined,
      registrationExhausted: ({ context }) =>
        context.registrationFailures >= context.limits.maxRegistrationFailures,
      /** The attempt that fails now is the last. */
      lastRegistrationAttempt: ({ context }) =>
        context.registrationFailures + 1 >= context.limits.maxRegistrationFailures,
      drainWanted: ({ context }) => context.drain !== undefined || context.ending !== undefined,
      shutdownWanted: ({ context }) => context.ending !== undefined,
      drainMayBeTakenBack: ({ context }) => context.drain !== undefined && context.ending === undefined,
      /** Only a VM that may be given a job, and is not on its way out, has to fence itself. */
      mustFence: ({ context }) =>
        context.drain === undefined &&
        context.ending === undefined &&
        (context.processAlive || context.runner !== undefined || context.registration !== undefined),
      poweroffWanted: ({ context }) => context.ending?.poweroff === true,
      jobRuns: ({ context }) => context.job !== undefined,
      processAlive: ({ context }) => context.processAlive,
      forcedStop: ({ context }) => context.forced && context.processAlive,
      /** Neither a process nor a registration is left, or no process is and GitHub cannot be asked. */
      runnerGone: ({ context }) =>
        !context.processAlive &&
        (registeredNames(context).length === 0 || context.deregisterFailures >= deregisterTriesOf(context)),
      /** What an earlier runner left is asked about when no process is there that needs an answer first. */
      registered: ({ context }) =>
        context.runner !== undefined || (!context.processAlive && context.leftBehind.length > 0),
      lingering: ({ context }) => context.lingering,
      /** GitHub has no such runner, so there is no job, whatever its process does. */
      lingersWithoutJob: ({ context }) =>
        context.lingering && context.processAlive && context.runner === undefined,
      hangIs: (_, params: { hang: Hang; wanted: Hang }) => params.hang === params.wanted,
      asksToReplace: (_, params: { registration: Registration }) => params.registration.replace === true,
      asksToReplaceBusy: ({ context }, params: { registration: Registration }) =>
        params.registration.replace === true && (context.job !== undefined || context.paused !== undefined),
      /** The VM cannot have a runner until somebody does something. */
      endsService: (_, params: { exit: RunnerExited }) => params.exit.verdict?.next === 'never',
      /** What it was registered with is of no use any more. */
      spendsRegistration: ({ context }, params: { exit: RunnerExited }) =>
        params.exit.verdict !== undefined &&
        (params.exit.verdict.spent ||
          (params.exit.code !== undefined && context.registration?.jitConfig !== '')),
      updateIsKnown: ({ context }, params: { why: RunnerPause }) =>
        params.why === 'update' && context.paused === 'update',
      namesShorterDeadline: ({ context }, params: { request: DrainRequest }) =>
        isShorter(deadlineOf(params.request, context), shortestDeadline(context)),
      outcomeIs: (_, params: { actual: string; wanted: string }) => params.actual === params.wanted,
      isTrue: (_, params: { value: boolean }) => params.value,
      /** It ended as it should: by itself after its work, or because it was told to. */
      endedWell: ({ context }, params: { exit: RunnerExited }) => endedWell(context, params.exit),
      registersAtOnce: ({ context }, params: { exit: RunnerExited }) =>
        params.exit.verdict === undefined
          ? endedWell(context, params.exit)
          : params.exit.verdict.next === 'atOnce',
    },
    actions: {
      emitEvent: (_, params: { type: string; data: Readonly<Record<string, string>> }) =>
        effects.emitEvent(params.type, params.data),
      settle: (_, params: { commandId: string | undefined; result: CommandResult }) => {
        if (params.commandId !== undefined) effects.settleCommand(params.commandId, params.result);
      },
      settleAll: (_, params: { commandIds: readonly string[]; result: CommandResult }) => {
        for (const commandId of params.commandIds) effects.settleCommand(commandId, params.result);
      },
      sendHeartbeat: () => effects.sendHeartbeat(),
      rememberDrained: (_, params: { drained: boolean }) => effects.rememberDrained(params.drained),
      rememberEnded: () => effects.rememberEnded(),
      rememberRegistered: (_, params: { names: readonly string[] }) =>
        effects.rememberRegistered(params.names),
      note: assign((_, params: { note: string }) => ({ note: params.note })),
      takeRegistration: assign(({ context }, { registration }: { registration: Registration }) => {
        const { runner } = context;
        // With a JIT config GitHub has made this runner: an earlier one of its name is not there any more.
        const isNew = (name: string): boolean =>
          registration.jitConfig === '' || name !== registration.runnerName;
        return {
          registration,
          runner: runner !== undefined && isNew(runner.name) ? runner : undefined,
          leftBehind: unused(context, registration.runnerName).filter(isNew),
          note: '',
        };
      }),
      dropRegistration: assign(({ context }) => ({
        registration: undefined,
        leftBehind: unused(context, context.runner?.name),
      })),
      countRegistrationFailure: assign(({ context }, params: { reason: string }) => ({
        registrationFailures: context.registrationFailures + 1,
        note: params.reason,
      })),
      resetRegistrationFailures: assign({ registrationFailures: 0 }),
      takeRunner: assign((_, params: { runner: MigletContext['runner'] }) => ({
        runner: params.runner,
        processAlive: true,
        stopRequested: false,
        stopping: false,
        lingering: false,
        paused: undefined,
        deregisterFailures: 0,
      })),
      /** It is the VM's runner, and none that was left. */
      takeFromLeft: assign(({ context }) => ({
        leftBehind: context.leftBehind.filter((name) => name !== context.runner?.name),
      })),
      loseProcess: assign({
        processAlive: false,
        job: undefined,
        lingering: false,
        paused: undefined,
        deregisterFailures: 0,
      }),
      expectExit: assign({ stopRequested: true, stopping: true }),
      letItGoOn: assign({ stopping: false }),
      /** GitHub has deleted what it was asked about. */
      loseAsked: assign(({ context }) => ({
        runner: undefined,
        leftBehind: context.runner === undefined ? context.leftBehind.slice(1) : context.leftBehind,
        deregisterFailures: 0,
        note: '',
      })),
      loseGoneRunner: assign(({ context }, params: { exit: RunnerExited }) =>
        params.exit.verdict?.registrationGone === true
          ? { runner: undefined, deregisterFailures: 0 }
          : { runner: context.runner },
      ),
      /** GitHub could not be asked often enough: it is asked again at the next opportunity. */
      leaveBehind: assign(({ context }) => ({
        runner: undefined,
        leftBehind: registeredNames(context),
        deregisterFailures: 0,
      })),
      /** From here on GitHub may know the runner, whatever becomes of the attempt. */
      mayBeRegistered: assign(({ context }) => ({
        runner: context.registration && {
          name: context.registration.runnerName,
          labels: context.registration.labels,
        },
        leftBehind: context.leftBehind.filter((name) => name !== context.registration?.runnerName),
        deregisterFailures: 0,
      })),
      takeJob: assign((_, params: { job: RunnerJob }) => ({
        job: params.job,
        lingering: false,
        paused: undefined,
      })),
      describeJob: assign((_, params: { job: RunnerJob }) => ({ job: params.job })),
      dropJob: assign({ job: undefined, lingering: false }),
      linger: assign({ lingering: true }),
      /** Nobody can say whether its job has ended: it is left alone (I5). */
      lingerNot: assign({ lingering: false }),
      takePause: assign((_, params: { paused: RunnerPause | undefined }) => ({ paused: params.paused })),
      countDeregisterFailure: assign(({ context }, params: { reason: string }) => ({
        deregisterFailures: context.deregisterFailures + 1,
        // One that GitHub does not delete yet must not keep it from being asked about the others.
        leftBehind:
          context.runner === undefined
            ? [...context.leftBehind.slice(1), ...context.leftBehind.slice(0, 1)]
            : context.leftBehind,
        note: params.reason,
      })),
      /** The first reason is kept; the deadline that comes first wins, and so does force. */
      takeDrain: assign(({ context }, params: { request: DrainRequest }) => {
        const { request } = params;
        const { drain } = context;
        const deadlineMs = deadlineOf(request, context);
        return {
          forced: context.forced || request.force,
          undrained: false,
          drain: {
            reason: drain === undefined || drain.reason === DRAINED_BEFORE ? request.reason : drain.reason,
            deadlinesMs: isShorter(deadlineMs, shortestDeadline(context))
              ? [...(drain?.deadlinesMs ?? []), deadlineMs]
              : (drain?.deadlinesMs ?? []),
            commandIds: [
              ...(context.drain?.commandIds ?? []),
              ...(request.commandId === undefined ? [] : [request.commandId]),
            ],
          },
        };
      }),
      /** The first cause of an ending is kept. */
      takeShutdown: assign(({ context }, params: { request: ShutdownRequest }) => {
        const { request } = params;
        const forced = context.forced || request.force;
        return {
          forced,
          undrained: false,
          ending: {
            outcome: context.ending?.outcome ?? (forced ? ('forced' as const) : ('drained' as const)),
            reason: context.ending?.reason ?? request.reason,
            poweroff: request.poweroff || context.ending?.poweroff === true,
          },
          shutdownCommandIds: [
            ...context.shutdownCommandIds,
            ...(request.commandId === undefined ? [] : [request.commandId]),
          ],
          drain: context.drain ?? {
            reason: request.reason,
            deadlinesMs: context.settings.drainDeadlineMs > 0 ? [context.settings.drainDeadlineMs] : [],
            commandIds: [],
          },
        };
      }),
      fail: assign(({ context }, params: { reason: string }) => ({
        ending: context.ending ?? { outcome: 'failed' as const, reason: params.reason, poweroff: false },
      })),
      wantPoweroff: assign(({ context }, params: { poweroff: boolean }) => ({
        ending: { ...endingOf(context), poweroff: endingOf(context).poweroff || params.poweroff },
      })),
      force: assign({ forced: true }),
      forgetDrain: assign({ drain: undefined, forced: false }),
      /** A job that is being ended already cannot be saved: that it was forced is kept until its runner is gone. */
      takeDrainBack: assign(({ context }) => ({
        drain: undefined,
        undrained: true,
        forced: context.forced && context.stopping,
      })),
      forgetUndrain: assign({ undrained: false, forced: false }),
      answerDrains: assign(({ context }) => ({
        drain: context.drain && { ...context.drain, commandIds: [] },
      })),
      updateSettings: assign(({ context }, params: { settings: Partial<MigletContext['settings']> }) => ({
        settings: { ...context.settings, ...params.settings },
      })),
      takeHeartbeatPolicy: assign((_, params: { intervalMs: number }) => ({
        askedHeartbeatMs: within(params.intervalMs, MAX_HEARTBEAT_MS),
      })),
      takeReconnectWindow: assign((_, params: { windowMs: number }) => ({
        reconnectWindowMs: within(params.windowMs, MAX_RECONNECT_MS),
      })),
      takeReconnect: assign((_, params: { afterMs: number }) => ({
        reconnectAfterMs: within(params.afterMs, MAX_RECONNECT_MS),
      })),
      linkIsUp: assign({ linkUp: true }),
      linkIsDown: assign({ linkUp: false }),
      countLinkFailure: assign(({ context }) => ({ linkFailures: context.linkFailures + 1 })),
      resetLinkFailures: assign({ linkFailures: 0 }),
      countAnnounceFailure: assign(({ context }, params: { reason: string }) => ({
        announceFailures: context.announceFailures + 1,
        note: params.reason,
      })),
      resetAnnounceFailures: assign({ announceFailures: 0, note: '' }),
      startRunner: sendTo(RUNNER_ACTOR, (_, params: { registration: Registration | undefined }) =>
        params.registration === undefined
          ? ({ type: 'stop' } satisfies RunnerRequest)
          : ({ type: 'start', registration: params.registration } satisfies RunnerRequest),
      ),
      stopRunner: sendTo(RUNNER_ACTOR, { type: 'stop' } satisfies RunnerRequest),
      killRunner: sendTo(RUNNER_ACTOR, { type: 'kill' } satisfies RunnerRequest),
    },
  });
}

function endedWell({ stopRequested }: MigletContext, { verdict, code, signal }: RunnerExited): boolean {
  if (verdict !== undefined) return verdict.well;
  // One that was not our child, and ended while nobody watched: nothing says that it crashed.
  return code === 0 || stopRequested || (code === undefined && signal === undefined);
}

/** The longer of what the settings say and what the controller takes: the fleet's heartbeats must not exceed its rate. */
export const heartbeatIntervalOf = ({ settings, askedHeartbeatMs }: MigletContext): number =>
  Math.max(settings.heartbeatIntervalMs, askedHeartbeatMs);

/** The first wait after a stream that broke is spread over the window that the controller asks for. */
function reconnectDelayMs({ limits, linkFailures, reconnectWindowMs, random }: MigletContext): number {
  const { firstMs, maxMs } = limits.reconnectBackoff;
  const spreadMs = Math.max(firstMs, reconnectWindowMs);
  return linkFailures <= 1
    ? backoffDelayMs({ firstMs: spreadMs, maxMs: spreadMs }, 0, random)
    : backoffDelayMs({ firstMs, maxMs }, linkFailures - 1, random);
}

/** What a controller says, from 0 to a bound: it may say any number. */
const within = (ms: number, maxMs: number): number => Math.min(Math.max(ms, 0), maxMs);
