/**
 * Every command that the controller knows, in memory and on disk, in the order of submission.
 *
 * A record moves along its transition table (I6) and is written at each move; one that could not be written is written again
 * when somebody needs to rely on it. This file knows no rule of delivery: those are in command-queue.ts.
 */
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { assertCommandTransition, isFinal } from '@mig/common/domain/command-state';
import type { CommandRecord } from '@mig/common/domain/command';
import { testPoint } from '@mig/common/test-points';
import type { Feed } from '../fleet/feed.js';
import type { Store } from '../store/store.js';
import { createSteadyTime } from './deadlines.js';
import { UnknownCommandError } from './errors.js';

export interface CommandBookDeps {
  readonly store: Store;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface CommandBook {
  get(commandId: string): CommandRecord | undefined;
  /** @throws UnknownCommandError */
  required(commandId: string): CommandRecord;
  /**
   * As outsiders may see it: a move that is not on disk yet is not shown, because a crash would take it back. (Between `queued` and
   * `sent` a restart moves it anyway, and what is only noted on it may be shown.)
   */
  stored(record: CommandRecord): CommandRecord;
  /** In the order of submission. */
  all(): Iterable<CommandRecord>;
  /** Unfinished commands of a VM in their order, those that are not yet on disk too. */
  open(vmId: string): CommandRecord[];
  /** Unfinished commands of all VMs that are on disk. */
  openOfAll(): CommandRecord[];
  openCount(vmId: string): number;
  readonly finishedCount: number;
  /** Accepted, and on disk: it may go out. */
  isDurable(commandId: string): boolean;
  nextSequence(): number;
  /**
   * Enters a new command. Resolves when it is on disk; if it cannot be, it is as if it had never been.
   * @throws StoreUnavailableError
   */
  enter(record: CommandRecord): Promise<void>;
  /**
   * Changes a record in memory and on disk, and tells the feed. Resolves when it is durable; a failure is logged as well.
   *
   * @param options.isStored what is on disk says as much after a crash: it is changed in memory alone
   */
  change(
    record: CommandRecord,
    fields: Partial<CommandRecord>,
    options?: { readonly isStored: boolean },
  ): Promise<void>;
  /** Resolves when the record is on disk as it is here; what could not be written before is written again. */
  ensureSaved(commandId: string): Promise<void>;
  isSaved(commandId: string): boolean;
  /** Writes again what could not be written. Called every second. */
  saveAgain(): void;
  /** Removes a finished command from memory and disk. */
  forget(record: CommandRecord): void;
  /** Milliseconds since 1970 as this command counts them (deadlines.ts). */
  steadyNow(commandId: string): number;
}

export function createCommandBook({ store, feed, clock, logger }: CommandBookDeps): CommandBook {
  /** In the order of their sequence. */
  const commands = new Map<string, CommandRecord>();
  const openByVm = new Map<string, Set<string>>();
  /** Accepted, but not yet on disk: they cannot go out. */
  const notDurable = new Set<string>();
  /** The last write of each record that is not, or not yet, on disk as it is here. */
  const unsaved = new Map<string, Promise<void>>();
  /** Those whose last write failed. */
  const refused = new Set<string>();
  let savingAgain = false;
  /** What is on disk of those in `unsaved`. */
  const onDisk = new Map<string, CommandRecord>();
  const steady = createSteadyTime(clock);
  let lastSequence = 0;
  let finishedCount = 0;

  for (const command of [...store.loadedCommands()].sort((a, b) => a.sequence - b.sequence)) {
    const record = ofEarlierController(command);
    remember(record);
    lastSequence = Math.max(lastSequence, record.sequence);
    if (isFinal(record.state)) finishedCount += 1;
    else steady.begin(record.id);
  }

  function remember(record: CommandRecord): void {
    commands.set(record.id, record);
    const open = openByVm.get(record.vmId) ?? new Set();
    if (isFinal(record.state)) open.delete(record.id);
    else open.add(record.id);
    if (open.size > 0) openByVm.set(record.vmId, open);
    else openByVm.delete(record.vmId);
  }

  function required(commandId: string): CommandRecord {
    const record = commands.get(commandId);
    if (record === undefined) throw new UnknownCommandError(commandId);
    return record;
  }

  const openRecords = (vmId: string): CommandRecord[] => [...(openByVm.get(vmId) ?? [])].map(required);

  /** @param before as it was until now */
  function save(record: CommandRecord, before: CommandRecord): Promise<void> {
    if (!unsaved.has(record.id)) onDisk.set(record.id, before);
    const saved = store.saveCommand(record);
    unsaved.set(record.id, saved);
    saved.then(
      () => {
        if (unsaved.get(record.id) !== saved) {
          if (onDisk.has(record.id)) onDisk.set(record.id, record);
          return;
        }
        unsaved.delete(record.id);
        onDisk.delete(record.id);
        refused.delete(record.id);
      },
      (error: unknown) => {
        if (unsaved.get(record.id) !== saved) return;
        if (!refused.has(record.id))
          logger.error(
            { vmId: record.vmId, commandId: record.id, reason: errorMessage(error) },
            'a command could not be stored; it is tried again',
          );
        refused.add(record.id);
      },
    );
    return saved;
  }

  /** One after the other, until one is refused again. */
  async function writeRefused(): Promise<void> {
    for (const id of [...refused]) {
      const record = commands.get(id);
      if (record === undefined) refused.delete(id);
      else await save(record, record);
    }
  }

  return {
    get: (commandId) => commands.get(commandId),
    required,
    stored(record) {
      const before = onDisk.get(record.id);
      const isMove = before !== undefined && before.state !== record.state;
      return isMove && !(isWaiting(before) && isWaiting(record)) ? before : record;
    },
    all: () => commands.values(),
    open: openRecords,
    openOfAll: () =>
      [...openByVm.values()].flatMap((ids) => [...ids].filter((id) => !notDurable.has(id)).map(required)),
    openCount: (vmId) => openByVm.get(vmId)?.size ?? 0,
    get finishedCount() {
      return finishedCount;
    },
    isDurable: (commandId) => commands.has(commandId) && !notDurable.has(commandId),
    nextSequence: () => (lastSequence += 1),

    async enter(record) {
      notDurable.add(record.id);
      steady.begin(record.id);
      remember(record);
      try {
        await store.saveCommand(record); // I1
        testPoint('commands.stored');
      } catch (error) {
        commands.delete(record.id);
        const open = openByVm.get(record.vmId);
        open?.delete(record.id);
        if (open?.size === 0) openByVm.delete(record.vmId);
        steady.forget(record.id);
        throw error;
      } finally {
        notDurable.delete(record.id);
      }
    },

    change(record, fields, options) {
      const next = { ...record, ...fields };
      assertCommandTransition(record.id, record.state, next.state); // I6
      remember(next);
      if (isFinal(next.state) && !isFinal(record.state)) {
        finishedCount += 1;
        steady.forget(next.id);
      }
      feed.publish({ kind: 'command', command: next });
      return options?.isStored === true ? Promise.resolve() : save(next, record);
    },

    async ensureSaved(commandId) {
      const pending = unsaved.get(commandId);
      if (pending === undefined) return;
      const done = await pending.then(
        () => true,
        () => false,
      );
      if (!done) await save(required(commandId), required(commandId));
    },

    isSaved: (commandId) => !unsaved.has(commandId),

    saveAgain() {
      if (savingAgain || refused.size === 0) return;
      savingAgain = true;
      void writeRefused()
        .catch(() => undefined) // the next sweep tries again
        .finally(() => (savingAgain = false));
    },

    forget(record) {
      commands.delete(record.id);
      unsaved.delete(record.id);
      onDisk.delete(record.id);
      refused.delete(record.id);
      finishedCount -= 1;
      store
        .deleteCommand(record)
        .catch((error: unknown) =>
          logger.warn(
            { commandId: record.id, reason: errorMessage(error) },
            'an old command could not be removed',
          ),
        );
    },

    steadyNow: (commandId) => steady.now(commandId),
  };
}

/** What was sent by the controller before this one, or may have been, may or may not have arrived: it goes out again (I2). */
function ofEarlierController(command: CommandRecord): CommandRecord {
  if (command.state === 'sent') return { ...command, state: 'queued' };
  const mayBeSent = command.state === 'queued' && command.attempts === 0 && command.sentToBoot !== undefined;
  return mayBeSent ? { ...command, attempts: 1 } : command;
}

const isWaiting = ({ state }: CommandRecord): boolean => state === 'queued' || state === 'sent';
