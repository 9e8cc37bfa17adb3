/**
 * The machine with a clock that stands still and ports that answer when the test says so.
 *
 * Nothing here waits: time moves by `advance`, promises are answered by `answer` and `reject`, and both return when the
 * machine is at rest again.
 */
import {
  createActor,
  fromCallback,
  fromPromise,
  SimulatedClock,
  type ActorRefFrom,
  type SnapshotFrom,
} from 'xstate';
import { ok } from '@mig/common/outcome';
import type { JobStatus } from '@mig/common/domain/vm';
import { createMigletMachine, type MigletMachine } from './miglet-machine.js';
import { pathOf } from './status.js';
import type {
  AnnounceOutcome,
  CommandResult,
  ConfigureOutcome,
  DeregisterAnswer,
  DrainRequest,
  ExitVerdict,
  LinkUp,
  MachineLimits,
  MigletEffects,
  MigletEvent,
  MigletInput,
  Registration,
  RunnerHung,
  RunnerRequest,
  Settings,
  ShutdownRequest,
} from './types.js';

/** No two of them are equal, so that a test that waits for the wrong one fails. */
export const LIMITS: MachineLimits = {
  announceBackoff: { firstMs: 5_000, maxMs: 30_000 },
  reconnectBackoff: { firstMs: 5_000, maxMs: 30_000 },
  registrationBackoff: { firstMs: 4_000, maxMs: 120_000 },
  minimumUptimeMs: 10_000,
  connectTimeoutMs: 15_000,
  configureTimeoutMs: 110_000,
  startTimeoutMs: 130_000,
  stableReadyMs: 60_000,
  maxRegistrationFailures: 3,
  deregisterTimeoutMs: 31_000,
  deregisterRetryMs: 6_000,
  maxDeregisterFailures: 3,
  maxForcedDeregisterFailures: 2,
  maxClearFailures: 4,
  lingerRetryMs: 61_000,
  stopGraceMs: 33_000,
  flushTimeoutMs: 9_000,
  fenceAfterMs: 0,
};
export const SETTINGS: Settings = { heartbeatIntervalMs: 16_000, drainDeadlineMs: 0, labels: [] };

export const registration = (commandId: string, change: Partial<Registration> = {}): Registration => ({
  commandId,
  runnerName: 'vm-1',
  runnerUrl: 'https://github.com/acme',
  runnerGroup: '',
  labels: ['linux'],
  token: 'a-token',
  jitConfig: '',
  ...change,
});
export const job = (name = 'build'): JobStatus => ({
  jobId: `vm-1-${name}`,
  runId: '',
  name,
  repository: '',
  branch: '',
  commit: '',
  status: 'running',
  startedAt: 0,
});
export const RUNNER = { name: 'vm-1', labels: ['linux'] };

export const events = {
  register: (id: string, change?: Partial<Registration>): MigletEvent => ({
    type: 'register.request',
    registration: registration(id, change),
  }),
  drain: (commandId?: string, change: Partial<DrainRequest> = {}): MigletEvent => ({
    type: 'drain.request',
    commandId,
    reason: 'an operator asked',
    deadlineMs: undefined,
    force: false,
    ...change,
  }),
  undrain: (commandId: string, reason = 'the kernel is patched'): MigletEvent => ({
    type: 'undrain.request',
    commandId,
    reason,
  }),
  shutdown: (commandId?: string, change: Partial<ShutdownRequest> = {}): MigletEvent => ({
    type: 'shutdown.request',
    commandId,
    reason: 'SIGTERM',
    force: false,
    poweroff: false,
    ...change,
  }),
  settings: (commandId: string, settings: Partial<Settings>): MigletEvent => ({
    type: 'settings.update',
    commandId,
    settings,
  }),
  up: (change: Partial<LinkUp> = {}): MigletEvent => ({
    type: 'link.up',
    heartbeatIntervalMs: 0,
    reconnectWindowMs: 0,
    announceAgain: false,
    ...change,
  }),
  down: (): MigletEvent => ({ type: 'link.down', reason: 'cut' }),
  started: (): MigletEvent => ({ type: 'runner.started', runner: RUNNER }),
  listening: (): MigletEvent => ({ type: 'runner.listening' }),
  jobStarted: (name?: string): MigletEvent => ({ type: 'job.started', job: job(name) }),
  jobFinished: (name?: string): MigletEvent => ({
    type: 'job.finished',
    job: job(name),
    result: 'Succeeded',
  }),
  exited: (code: number | undefined = 0, signal?: string): MigletEvent => ({
    type: 'runner.exited',
    code,
    signal,
  }),
  /** With what the runner's supervisor makes of it. */
  ended: (verdict: Partial<ExitVerdict> = {}, code = 0): MigletEvent => ({
    type: 'runner.exited',
    code,
    signal: undefined,
    process: '1-1',
    verdict: {
      outcome: 'job_done',
      reason: 'the runner ended after its job',
      well: true,
      registrationGone: false,
      next: 'atOnce',
      spent: true,
      ...verdict,
    },
  }),
  hung: (hang: RunnerHung['hang']): MigletEvent => ({
    type: 'runner.hung',
    hang,
    reason: 'nothing was heard',
    process: '1-1',
  }),
};

/** What each port that answers once is answered with. */
interface Answers {
  announce: AnnounceOutcome;
  configureRunner: ConfigureOutcome;
  deregister: DeregisterAnswer;
  flush: void;
  powerOff: void;
}
export type Port = keyof Answers;

export const deregisterAnswer = (outcome: DeregisterAnswer['outcome']): DeregisterAnswer => ({
  outcome,
  message: `GitHub says ${outcome}`,
});

export interface HarnessOptions {
  readonly limits?: Partial<MachineLimits>;
  readonly settings?: Partial<Settings>;
  readonly random?: () => number;
  readonly drained?: boolean;
  readonly registeredAs?: readonly string[];
  /** What the runner's actor tells as soon as it begins: a runner that an earlier MIGlet left. */
  readonly leftover?: readonly MigletEvent[];
  /** Is told each request to the runner when it is made. */
  readonly onRunnerRequest?: (request: RunnerRequest) => void;
  /** The runner's actor throws when it is asked for anything. */
  readonly brokenRunner?: boolean;
  readonly brokenLink?: boolean;
}

export const inputOf = (options: HarnessOptions = {}): MigletInput => ({
  settings: { ...SETTINGS, ...options.settings },
  limits: { ...LIMITS, ...options.limits },
  random: options.random ?? (() => 0.999_999_9),
  drained: options.drained ?? false,
  registeredAs: options.registeredAs ?? [],
});

export const idleEffects: MigletEffects = {
  emitEvent: () => undefined,
  settleCommand: () => undefined,
  sendHeartbeat: () => undefined,
  rememberDrained: () => undefined,
  rememberRegistered: () => undefined,
  rememberEnded: () => undefined,
};

/** The path of one region, for example `ready.idle`. */
export function pathIn(
  snapshot: SnapshotFrom<MigletMachine>,
  region: 'lifecycle' | 'link' | 'runner',
): string {
  return pathOf((snapshot.value as Record<string, Parameters<typeof pathOf>[0]>)[region] ?? '');
}

export type Harness = ReturnType<typeof createHarness>;

export function createHarness(options: HarnessOptions = {}) {
  const clock = new SimulatedClock();
  const emitted: { type: string; data: Readonly<Record<string, string>> }[] = [];
  const settled: { id: string; success: boolean; message: string }[] = [];
  /** `result.code` of what was settled with one, by command. */
  const codes: Record<string, string> = {};
  /** `result.registration_left` of the same. */
  const left: Record<string, string> = {};
  const requests: RunnerRequest['type'][] = [];
  const started: Extract<RunnerRequest, { type: 'start' }>[] = [];
  const calls: { port: Port | 'link'; input: unknown }[] = [];
  const drainedMemory: boolean[] = [];
  /** What was to be remembered as registered, each time, as `vm-1,vm-2`. */
  const registeredMemory: string[] = [];
  const beatsAt: number[] = [];
  let ended = 0;
  const waiting = new Map<Port, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let tellLink: ((event: MigletEvent) => void) | undefined;
  let tellRunner: ((event: MigletEvent) => void) | undefined;

  const asked = <P extends Port>(port: P, input: unknown, signal: AbortSignal): Promise<Answers[P]> =>
    new Promise((resolve, reject) => {
      calls.push({ port, input });
      const question = { resolve, reject };
      waiting.set(port, question);
      signal.addEventListener('abort', () => {
        if (waiting.get(port) === question) waiting.delete(port);
      });
    });

  const machine = createMigletMachine({
    emitEvent: (type, data) => emitted.push({ type, data }),
    settleCommand: (id, { success, message, result }: CommandResult) => {
      settled.push({ id, success, message });
      if (result['code'] !== undefined) codes[id] = result['code'];
      if (result['registration_left'] !== undefined) left[id] = result['registration_left'];
    },
    sendHeartbeat: () => beatsAt.push(clock.now()),
    rememberDrained: (drained) => drainedMemory.push(drained),
    rememberRegistered: (names) => registeredMemory.push(names.join(',')),
    rememberEnded: () => {
      ended += 1;
    },
  }).provide({
    actors: {
      announce: fromPromise(({ signal }) => asked('announce', undefined, signal)),
      configureRunner: fromPromise(({ input, signal }) => asked('configureRunner', input, signal)),
      deregister: fromPromise(({ input, signal }) => asked('deregister', input, signal)),
      flush: fromPromise(({ signal }) => asked('flush', undefined, signal)),
      powerOff: fromPromise(({ signal }) => asked('powerOff', undefined, signal)),
      link: fromCallback<MigletEvent>(({ sendBack }) => {
        calls.push({ port: 'link', input: undefined });
        if (options.brokenLink) throw new Error('no socket');
        const tell = sendBack as (event: MigletEvent) => void;
        tellLink = tell;
        return () => {
          if (tellLink === tell) tellLink = undefined;
        };
      }),
      runner: fromCallback<RunnerRequest>(({ receive, sendBack }) => {
        tellRunner = sendBack;
        receive((request) => {
          if (options.brokenRunner) throw new Error('no process');
          requests.push(request.type);
          if (request.type === 'start') started.push(request);
          options.onRunnerRequest?.(request);
        });
        for (const event of options.leftover ?? []) tellRunner(event);
        return () => {
          tellRunner = undefined;
        };
      }),
    },
  });

  const dropped: string[] = [];
  const actor: ActorRefFrom<MigletMachine> = createActor(machine, {
    input: inputOf(options),
    clock,
    inspect: (inspection) => {
      if (inspection.type !== '@xstate.microstep' || inspection.actorRef.sessionId !== inspection.rootId)
        return;
      if (inspection._transitions.length === 0) dropped.push(inspection.event.type);
    },
  });
  let failure: unknown;
  actor.subscribe({ error: (error) => (failure = error) });
  actor.start();

  /** A promise that is answered goes through a few turns of the queue before the machine hears of it. */
  const atRest = async (): Promise<void> => {
    for (let turn = 0; turn < 6; turn += 1) await Promise.resolve();
  };
  const questionOf = (port: Port) => {
    const question = waiting.get(port);
    if (question === undefined)
      throw new Error(`${port} is not being asked (${pathIn(actor.getSnapshot(), 'lifecycle')})`);
    waiting.delete(port);
    return question;
  };

  const harness = {
    actor,
    machine,
    clock,
    emitted,
    settled,
    codes,
    requests,
    started,
    calls,
    drainedMemory,
    registeredMemory,
    beatsAt,
    /** Types of the events that no state took. */
    dropped,
    context: () => actor.getSnapshot().context,
    lifecycle: () => pathIn(actor.getSnapshot(), 'lifecycle'),
    link: () => pathIn(actor.getSnapshot(), 'link'),
    runner: () => pathIn(actor.getSnapshot(), 'runner'),
    output: () => actor.getSnapshot().output,
    failure: () => failure,
    timesEnded: () => ended,
    timesAsked: (port: Port | 'link') => calls.filter((call) => call.port === port).length,
    isAsked: (port: Port) => waiting.has(port),
    isLinkOpen: () => tellLink !== undefined,
    emittedTypes: () => emitted.map(({ type }) => type),
    leftOf: (id: string): string | undefined => left[id],
    resultsOf: (id: string) => settled.filter((result) => result.id === id),
    atRest,
    async send(...sent: readonly MigletEvent[]): Promise<void> {
      for (const event of sent) actor.send(event);
      await atRest();
    },
    /** Told by the stream's actor; dropped, as in life, when it is not invoked. */
    async linkTells(event: MigletEvent): Promise<void> {
      tellLink?.(event);
      await atRest();
    },
    async runnerTells(...told: readonly MigletEvent[]): Promise<void> {
      for (const event of told) tellRunner?.(event);
      await atRest();
    },
    async answer<P extends Port>(port: P, value: Answers[P]): Promise<void> {
      questionOf(port).resolve(value as never);
      await atRest();
    },
    async reject(port: Port, message: string): Promise<void> {
      questionOf(port).reject(new Error(message));
      await atRest();
    },
    async advance(ms: number): Promise<void> {
      clock.increment(ms);
      await atRest();
    },
  };
  return harness;
}

/** The way of a VM that comes up and finds everything in order; each step goes on from the one before. */
export const ROAD = {
  async announced(options?: HarnessOptions): Promise<Harness> {
    const harness = createHarness(options);
    await harness.answer('announce', ok(undefined));
    return harness;
  },
  async awaitingCommand(options?: HarnessOptions): Promise<Harness> {
    const harness = await ROAD.announced(options);
    await harness.linkTells(events.up());
    return harness;
  },
  async configuring(options?: HarnessOptions): Promise<Harness> {
    const harness = await ROAD.awaitingCommand(options);
    await harness.send(events.register('register-1'));
    return harness;
  },
  async starting(options?: HarnessOptions): Promise<Harness> {
    const harness = await ROAD.configuring(options);
    await harness.answer('configureRunner', ok(undefined));
    await harness.runnerTells(events.started());
    return harness;
  },
  async idle(options?: HarnessOptions): Promise<Harness> {
    const harness = await ROAD.starting(options);
    await harness.runnerTells(events.listening());
    return harness;
  },
  async busy(options?: HarnessOptions): Promise<Harness> {
    const harness = await ROAD.idle(options);
    await harness.runnerTells(events.jobStarted());
    return harness;
  },
  /** Idle, and the controller has been asked to delete the registration. */
  async deregistering(options?: HarnessOptions): Promise<Harness> {
    const harness = await ROAD.idle(options);
    await harness.send(events.drain('drain-1'));
    return harness;
  },
  async stoppingRunner(options?: HarnessOptions): Promise<Harness> {
    const harness = await ROAD.deregistering(options);
    await harness.answer('deregister', deregisterAnswer('deleted'));
    return harness;
  },
  async drained(options?: HarnessOptions): Promise<Harness> {
    const harness = await ROAD.stoppingRunner(options);
    await harness.runnerTells(events.exited(0));
    return harness;
  },
  async flushing(options?: HarnessOptions): Promise<Harness> {
    const harness = await ROAD.drained(options);
    await harness.send(events.shutdown('shutdown-1'));
    return harness;
  },
};
