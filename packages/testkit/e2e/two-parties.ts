/**
 * Both ends of the delivery of commands and events in one process, with everything between them in the hands of a test: the
 * network loses, doubles, swaps and cuts, the disk of the controller writes when it is told to, and either side dies between
 * any two of its steps. The queue, its delivery, the event log, the MIGlet's link, intake and journals are the real ones.
 */
import { createCommandIntake } from '@mig/miglet/controller-link/command-intake';
import { createControllerLink, type ControllerLink } from '@mig/miglet/controller-link/controller-link';
import type { Session, SessionHandlers } from '@mig/miglet/controller-link/session';
import { createCommandJournal } from '@mig/miglet/journal/command-journal';
import { createEventJournal } from '@mig/miglet/journal/event-journal';
import type { CommandJournal } from '@mig/miglet/journal/journal';
import type { LogFile } from '@mig/miglet/journal/log-file';
import { resumptionOf, unfinished } from '@mig/miglet/resume';
import { isCommandType } from '@mig/common/domain/command-types';
import type { ConnectRequest, ControllerMessage, MigletMessage } from '@mig/common/domain/messages';
import type { CommandRecord } from '@mig/common/domain/command';
import type { StoredEvent } from '@mig/common/domain/event';
import { createEventLog } from '../../controller/src/fleet/event-log.js';
import { connectRequest, createParts, settled, type Parts } from '../../controller/src/parts.contract.js';
import { createMemoryStore, type MemoryStore } from '../../controller/src/store/memory-store.contract.js';
import { createMemoryLog } from './memory-log.js';

const VM = { vmId: 'vm-1', poolId: 'pool-a', orgId: 'acme' };
const BOOT = 'boot-1';
const CONNECT_ACK = { accepted: true, message: '', serverVersion: '1', heartbeatIntervalMs: 0 };

/** What a move does to the oldest message on its way. */
export type Fate = 'arrives' | 'lost' | 'doubled' | 'swapped';

/** The MIGlet died in the middle of a step. */
class Died extends Error {}

/** A disk whose writes happen when the test says so, one after the other. */
interface SlowDisk {
  readonly store: MemoryStore;
  /** The oldest write happens, and whoever waits for it hears so. */
  step(): void;
  /** The controller dies: of what waits, the first `written` writes happen, and nobody hears of them. */
  die(written: number): void;
  readonly waiting: number;
}

function createSlowDisk(before: { commands: CommandRecord[]; events: StoredEvent[] }): SlowDisk {
  const memory = createMemoryStore({ commands: before.commands });
  for (const event of before.events) void memory.appendEvent(event, event.via);
  const waiting: { effect: () => void; resolve: () => void }[] = [];
  const later = (effect: () => void): Promise<void> =>
    new Promise((resolve) => waiting.push({ effect, resolve }));
  return {
    store: {
      ...memory,
      loadedCommands: () => before.commands,
      saveCommand: (record) => later(() => void memory.saveCommand(record)),
      async appendEvent(event, via) {
        let stored: Promise<StoredEvent> | undefined;
        await later(() => {
          stored = memory.appendEvent(event, via);
        });
        return stored as Promise<StoredEvent>;
      },
    },
    step() {
      const write = waiting.shift();
      write?.effect();
      write?.resolve();
    },
    die(written) {
      for (const { effect } of waiting.splice(0).slice(0, written)) effect();
    },
    get waiting() {
      return waiting.length;
    },
  };
}

/** A log file that outlives its process, which can be made to die at one of the next writes, before or after it. */
interface MortalLog {
  readonly log: LogFile<unknown>;
  lines(): unknown[];
}

function createMortalLog(mayDie: (when: 'before' | 'after') => void): MortalLog {
  let lines: string[] = [];
  return {
    lines: () => lines.map((line) => JSON.parse(line) as unknown),
    log: {
      append(entry) {
        mayDie('before');
        lines.push(JSON.stringify(entry));
        mayDie('after');
      },
      replace(entries) {
        mayDie('before');
        lines = entries.map((entry) => JSON.stringify(entry));
        mayDie('after');
      },
      get length() {
        return lines.length;
      },
      close: () => undefined,
    },
  };
}

interface VmLife {
  readonly link: ControllerLink;
  readonly journal: CommandJournal;
  /** Commands whose effect began in this life and has not ended. */
  readonly underWay: string[];
}

interface Stream {
  readonly toVm: ControllerMessage[];
  readonly toController: MigletMessage[];
  readonly handlers: SessionHandlers;
  /** The VM hears a message. */
  receive(message: ControllerMessage): void;
  /** Ends it on the controller's side. */
  leave(): void;
}

export interface TwoParties {
  submit(type: string, parameters: Record<string, string | number | boolean>): Promise<void>;
  cancel(nth: number): Promise<void>;
  connect(): Promise<void>;
  cut(): Promise<void>;
  toVm(fate: Fate): Promise<void>;
  toController(fate: Fate): Promise<void>;
  diskStep(): Promise<void>;
  /** A command that is under way on the VM ends. */
  finish(nth: number): Promise<void>;
  /** Something happens on the VM. */
  happen(type: string): Promise<void>;
  /** The VM dies in its `nth` next write, before or after it. */
  doom(nth: number, when: 'before' | 'after'): void;
  killVm(): Promise<void>;
  killController(written: number): Promise<void>;
  passTime(ms: number): Promise<void>;
  /** Everything works from now on, until nothing is left to do. */
  calmDown(): Promise<void>;

  /** What callers were told: the ids that were accepted, in their order. */
  readonly accepted: readonly string[];
  /** Ids whose cancelling was confirmed. */
  readonly cancelled: ReadonlySet<string>;
  /** Every beginning of an effect, in order. */
  readonly effects: readonly { readonly id: string; readonly type: string; readonly life: number }[];
  /** Events that the VM journaled. */
  readonly journaled: readonly number[];
  commands(): CommandRecord[];
  storedSequences(): number[];
  /** Results that the VM has not been able to hand over. */
  unreported(): string[];
  readonly kills: number;
}

export function createTwoParties(): TwoParties {
  const accepted: string[] = [];
  const cancelled = new Set<string>();
  const effects: { id: string; type: string; life: number }[] = [];
  const journaled: number[] = [];
  let kills = 0;
  let doomAt: { count: number; when: 'before' | 'after' } | undefined;
  const mayDie = (when: 'before' | 'after'): void => {
    if (doomAt?.when !== when) return;
    doomAt.count -= 1;
    if (doomAt.count > 0) return;
    doomAt = undefined;
    throw new Died();
  };
  const commandLog = createMortalLog(mayDie);
  const eventLog = createMortalLog(mayDie);
  const { logger } = createMemoryLog();

  let disk = createSlowDisk({ commands: [], events: [] });
  let parts: Parts;
  let events: ReturnType<typeof createEventLog>;
  let stream: Stream | undefined;
  let life: VmLife | undefined;
  let lives = 0;

  function startController(): void {
    parts = createParts({ store: disk.store });
    const { feed, delivery, fleet } = parts;
    events = createEventLog(disk.store, feed, () => undefined, logger);
    fleet.connect(connectRequest({ ...VM, bootId: BOOT }));
    feed.subscribe((change) => {
      if (change.kind === 'command' && change.command.state === 'queued') delivery.kick(VM.vmId);
    });
  }

  /** Runs a step of the VM; if it dies in it, that was its life. */
  function inVm(step: (current: VmLife) => void): void {
    if (life === undefined) return;
    try {
      step(life);
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      vmDies();
    }
  }

  function vmDies(): void {
    kills += 1;
    life = undefined;
    dropStream();
  }

  function dropStream(): void {
    const ended = stream;
    stream = undefined;
    ended?.leave();
    if (life !== undefined) ended?.handlers.onDown('cut');
  }

  function startVm(): void {
    doomAt = undefined;
    lives += 1;
    const thisLife = lives;
    const underWay: string[] = [];
    const journal = createCommandJournal(commandLog.log, commandLog.lines());
    const begin = (id: string, type: string): void => {
      effects.push({ id, type, life: thisLife });
      underWay.push(id);
    };
    const link = createControllerLink({
      identity: VM,
      bootId: BOOT,
      session: () => ({ endpoint: '', keepaliveMs: 0, keepaliveTimeoutMs: 0 }),
      events: createEventJournal(eventLog.log, eventLog.lines()),
      commands: journal,
      intake: createCommandIntake(journal, (id, type) => begin(id, type), logger),
      clock: parts.clock,
      logger,
      openSession: (_options, hello, handlers) => openStream(hello, handlers),
    });
    life = { link, journal, underWay };
    for (const command of unfinished(journal)) {
      if (!isCommandType(command.type)) continue;
      const resumption = resumptionOf(command.type, true);
      if (resumption.kind === 'again') begin(command.id, command.type);
      else inVm(() => link.settleCommand(command.id, { ...resumption, result: {} }));
    }
  }

  /** As `services/command-service.ts` does it on the controller's side. */
  function openStream(hello: ConnectRequest, handlers: SessionHandlers): Session {
    const toVm: ControllerMessage[] = [];
    const toController: MigletMessage[] = [];
    const fake = parts.connect({ ...hello, state: 'ready.idle' }, `session-${lives}`);
    const { links, queue, delivery } = parts;
    let up = false;
    const opened: Stream = {
      toVm,
      toController,
      handlers,
      // The first message that arrives is the acceptance.
      receive(message) {
        if (up) handlers.onMessage(message);
        else if (message.kind === 'connectAck') {
          up = true;
          handlers.onUp(message.ack);
        }
      },
      leave: () => {
        if (links.close(fake)) queue.requeueSent(VM.vmId);
      },
    };
    stream = opened;
    const push = (message: ControllerMessage): boolean => {
      if (stream === opened) toVm.push(message);
      return stream === opened;
    };
    Object.assign(fake, { send: push });
    push({
      kind: 'connectAck',
      ack: {
        ...CONNECT_ACK,
        sessionId: fake.sessionId,
        lastEventSequence: events.lastSequence(VM.vmId, BOOT),
        announceAgain: false,
        reconnectWindowMs: 0,
      },
    });
    delivery.attach(VM.vmId);
    return {
      send(message: MigletMessage) {
        if (!up || stream !== opened) return false;
        toController.push(message);
        return true;
      },
      close: () => Promise.resolve(),
    };
  }

  function take<T>(messages: T[], fate: Fate): T[] {
    const [first, second] = messages;
    if (first === undefined) return [];
    switch (fate) {
      case 'arrives':
        return messages.splice(0, 1);
      case 'lost':
        messages.shift();
        return [];
      case 'doubled':
        return [first, ...messages.splice(0, 1)];
      case 'swapped':
        if (second === undefined) return messages.splice(0, 1);
        messages.splice(0, 2);
        return [second, first];
    }
  }

  function controllerHears(message: MigletMessage): void {
    const { queue } = parts;
    const current = stream;
    const answer = (reply: ControllerMessage): void => {
      if (current !== undefined && current === stream) current.toVm.push(reply);
    };
    if (message.kind === 'ack') {
      const { ack } = message;
      void queue.acknowledge(VM.vmId, ack).then(
        ({ resultStored }) => {
          if (resultStored) answer({ kind: 'resultAck', commandId: ack.commandId });
        },
        () => undefined,
      );
    } else if (message.kind === 'event') {
      const { event } = message;
      void events.record(event, 'grpc').then((outcome) => {
        if (outcome.kind === 'stored')
          answer({ kind: 'eventAck', bootId: event.bootId, sequence: event.sequence });
      });
    }
  }

  const nth = <T>(items: readonly T[], n: number): T | undefined => items[n % Math.max(items.length, 1)];

  const parties: TwoParties = {
    accepted,
    cancelled,
    effects,
    journaled,
    get kills() {
      return kills;
    },
    async submit(type, parameters) {
      const { queue } = parts;
      void queue
        .submit({ vmId: VM.vmId, type, parameters, createdBy: 'operator' })
        .then(({ id }) => accepted.push(id));
      await settled();
    },
    async cancel(n) {
      const { queue } = parts;
      const id = nth(accepted, n);
      if (id === undefined) return;
      void queue.cancel(id).then(
        () => cancelled.add(id),
        () => undefined,
      );
      await settled();
    },
    async connect() {
      if (life === undefined) startVm();
      if (life === undefined || stream !== undefined) return;
      inVm(({ link }) => {
        link.open(connectRequest({ ...VM, bootId: BOOT }), {
          onUp: () => undefined,
          onHeartbeatPolicy: () => undefined,
          onReconnect: () => undefined,
          onDown: () => undefined,
        });
      });
      await settled();
    },
    async cut() {
      dropStream();
      await settled();
    },
    async toVm(fate) {
      // A stream that has lost its first message is no stream.
      for (const message of take(stream?.toVm ?? [], fate)) inVm(() => stream?.receive(message));
      await settled();
    },
    async toController(fate) {
      for (const message of take(stream?.toController ?? [], fate)) controllerHears(message);
      await settled();
    },
    async diskStep() {
      disk.step();
      await settled();
    },
    async finish(n) {
      inVm(({ link, underWay }) => {
        const id = nth(underWay, n);
        if (id === undefined) return;
        underWay.splice(underWay.indexOf(id), 1);
        link.settleCommand(id, { success: true, message: 'done', result: {} });
      });
      await settled();
    },
    async happen(type) {
      inVm(({ link }) => {
        link.emitEvent(type, {});
      });
      const written = eventLog.lines().flatMap((line) => {
        const entry = line as { kind: string; event?: { sequence: number } };
        return entry.kind === 'event' && entry.event !== undefined ? [entry.event.sequence] : [];
      });
      for (const sequence of written) if (!journaled.includes(sequence)) journaled.push(sequence);
      await settled();
    },
    doom(count, when) {
      if (life !== undefined) doomAt = { count, when };
    },
    async killVm() {
      if (life !== undefined) vmDies();
      await settled();
    },
    async killController(written) {
      kills += 1;
      disk.die(written);
      await settled();
      const commands = [...disk.store.commands.values()];
      const stored = [...disk.store.storedEvents];
      const ended = stream;
      stream = undefined;
      disk = createSlowDisk({ commands, events: stored });
      startController();
      if (life !== undefined) ended?.handlers.onDown('the controller died');
      await settled();
    },
    async passTime(ms) {
      parts.clock.advance(ms);
      parts.queue.sweep();
      await settled();
    },
    async calmDown() {
      doomAt = undefined;
      dropStream();
      await settled();
      for (let quiet = 0; quiet < 3;) {
        await parties.connect();
        let moved = false;
        while (disk.waiting > 0) {
          await parties.diskStep();
          moved = true;
        }
        for (const [direction, queue] of [
          [parties.toVm, () => stream?.toVm.length ?? 0],
          [parties.toController, () => stream?.toController.length ?? 0],
        ] as const) {
          while (queue() > 0) {
            await direction('arrives');
            moved = true;
          }
        }
        while ((life?.underWay.length ?? 0) > 0) {
          await parties.finish(0);
          moved = true;
        }
        quiet = moved ? 0 : quiet + 1;
      }
    },
    commands: () => parts.queue.list({}),
    storedSequences: () => disk.store.storedEvents.map((event) => event.sequence),
    unreported: () =>
      (life?.journal.all() ?? []).filter((command) => !command.reported).map((command) => command.id),
  };

  startController();
  return parties;
}
