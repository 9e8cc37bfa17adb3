/** The domain of the controller, joined as in controller.ts, with a manual clock, a store in memory and scripted edges. */
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import type { CommandRecord, Parameters } from '@mig/common/domain/command';
import type { CommandMessage, ConnectRequest, ControllerMessage } from '@mig/common/domain/messages';
import type { VmRecord } from '@mig/common/domain/vm';
import { createManualClock } from '../../common/src/manual-clock.contract.js';
import { createCommandQueue, type CommandQueueOptions, type Submission } from './commands/command-queue.js';
import { createDrains } from './commands/drains.js';
import { createDelivery } from './commands/delivery.js';
import { createMinting } from './commands/minting.js';
import type { RunnerRegistrar } from './commands/registrar.js';
import { createAutoRegistration } from './commands/registration.js';
import { createFeed, type Change } from './fleet/feed.js';
import { createFleet } from './fleet/fleet.js';
import { createLinks, type CloseReason, type VmLink } from './fleet/links.js';
import { createMemoryStore } from './store/memory-store.contract.js';
import { createTestLog } from './test-log.contract.js';

/** Everything that can go on without time passing has gone on. */
export const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

export interface FakeLink extends VmLink {
  readonly sent: ControllerMessage[];
  /** The commands among what was sent. */
  commands(): CommandMessage[];
  readonly closedWith: CloseReason[];
  /** False: it takes nothing any more. */
  taking: boolean;
}

export function createFakeLink(vmId: string, bootId: string, sessionId = 'session-1'): FakeLink {
  const sent: ControllerMessage[] = [];
  const closedWith: CloseReason[] = [];
  const link: FakeLink = {
    vmId,
    bootId,
    sessionId,
    legacy: bootId === '',
    openedAt: 0,
    sent,
    closedWith,
    taking: true,
    commands: () => sent.flatMap((message) => (message.kind === 'command' ? [message.command] : [])),
    send(message) {
      if (link.taking) sent.push(message);
      return link.taking;
    },
    close: (reason) => void closedWith.push(reason),
  };
  return link;
}

/** GitHub as a script: `answer` says what the next asking gets. */
export interface ScriptedRegistrar extends RunnerRegistrar {
  answer: (vm: VmRecord, wanted: Parameters) => Outcome<Parameters> | Promise<Outcome<Parameters>>;
  readonly asked: string[];
}

export const TOKEN = 'SECRET-REGISTRATION-TOKEN';
export const minted = (wanted: Parameters): Outcome<Parameters> =>
  ok({ ...wanted, registration_token: TOKEN, runner_url: 'https://github.example/acme' });
export const gitHubAway = (afterMs?: number): Outcome<never> => retryable('GitHub answered 502', afterMs);
export const gitHubRefuses = (): Outcome<never> => fatal('VM vm-1 names no organization');

function createScriptedRegistrar(): ScriptedRegistrar {
  const registrar: ScriptedRegistrar = {
    answer: (_, wanted) => minted(wanted),
    asked: [],
    async mint(vm, wanted) {
      registrar.asked.push(vm.vmId);
      return registrar.answer(vm, wanted);
    },
    mintToken: (vm, wanted) => registrar.mint(vm, wanted),
    setEligible: async () => ok('set'),
    remove: async () => ({ outcome: 'deleted', message: '' }),
  };
  return registrar;
}

export const connectRequest = (fields: Partial<ConnectRequest> = {}): ConnectRequest => ({
  vmId: 'vm-1',
  poolId: 'pool-a',
  orgId: 'acme',
  version: '0.1.0',
  bootId: 'boot-1',
  state: 'ready.idle',
  labels: [],
  ...fields,
});

export function createParts(
  options: {
    store?: ReturnType<typeof createMemoryStore>;
    limits?: Partial<CommandQueueOptions>;
    askedIntervalMs?: () => number;
  } = {},
) {
  const store = options.store ?? createMemoryStore();
  const clock = createManualClock();
  const log = createTestLog();
  const { logger } = log;
  const feed = createFeed();
  const changes: Change[] = [];
  feed.subscribe((change) => changes.push(change));
  const links = createLinks();
  const liveness = { intervalMs: 15_000, lostAfterMs: 90_000 };
  const fleet = createFleet({
    store,
    links,
    feed,
    clock,
    logger,
    liveness,
    askedIntervalMs: options.askedIntervalMs ?? (() => 0),
  });
  const limits = {
    maxOpenPerVm: 1_000,
    maxFinished: 20_000,
    finishedRetentionMs: 7 * 86_400_000,
    ...options.limits,
  };
  const queue = createCommandQueue(
    {
      store,
      feed,
      clock,
      logger,
      isConnected: (vmId) => links.get(vmId) !== undefined,
      goesTo: (vmId): string | undefined => delivery.goesTo(vmId),
    },
    limits,
  );
  const drains = createDrains({
    store,
    queue,
    fleet,
    clock,
    logger,
    poolLabels: () => ['pool-label'],
    retentionMs: limits.finishedRetentionMs,
  });
  feed.subscribe((change) => drains.onChange(change));
  const registrar = createScriptedRegistrar();
  const minting = createMinting({ registrar, clock });
  const delivery = createDelivery({ queue, fleet, links, minting, clock, logger, random: () => 0.5 });
  const registration = createAutoRegistration({ queue, fleet, links, clock, logger });

  return {
    store,
    clock,
    log,
    feed,
    changes,
    links,
    fleet,
    queue,
    drains,
    registrar,
    delivery,
    registration,
    submit: (fields: Partial<Submission> = {}): Promise<CommandRecord> =>
      queue.submit({
        vmId: 'vm-1',
        type: 'set_log_level',
        parameters: { level: 'debug' },
        createdBy: 'operator',
        ...fields,
      }),
    /** As when a stream opens; registration and delivery are left to the test. */
    connect(fields: Partial<ConnectRequest> = {}, sessionId?: string): FakeLink {
      const request = connectRequest(fields);
      fleet.connect(request);
      const link = createFakeLink(request.vmId, request.bootId, sessionId);
      links.open(link);
      return link;
    },
    /** As when a stream ends. */
    disconnect(link: FakeLink): void {
      if (!links.close(link)) return;
      queue.requeueSent(link.vmId);
      fleet.disconnect(link.vmId);
    },
  };
}

export type Parts = ReturnType<typeof createParts>;
