/**
 * The durable queue of commands: what was asked of each VM, and what became of it.
 *
 * A command is stored before its submitter hears of it (I1), moves along its transition table (I6), and ends by its
 * deadlines if by nothing else (I3). The commands of a VM have an order, the order of their submission. Sending is
 * `delivery.ts`; this file knows no stream.
 *
 * Limits (I12): `maxOpenPerVm` unfinished commands of a VM, above which a submission is refused; `maxFinished` finished
 * ones in all, above which the oldest are forgotten.
 */
import type { Clock } from '@mig/common/clock';
import { MigError, errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { assertCommandTransition, isFinal, type CommandState } from '@mig/common/domain/command-state';
import {
  COMMAND_SPECS,
  DEFAULT_DELIVERY_DEADLINE_MS,
  commandFaults,
  isCommandType,
} from '@mig/common/domain/command-types';
import {
  RESULT_EXPIRED,
  type CommandAck,
  type CommandRecord,
  type Parameters,
} from '@mig/common/domain/command';
import { newId } from '@mig/common/domain/ids';
import type { Feed } from '../fleet/feed.js';
import type { Store } from '../store/store.js';

/** The command itself is wrong; `faults` names every wrong thing. */
export class BadCommandError extends MigError {
  constructor(readonly faults: readonly string[]) {
    super('bad-command', faults.join('; '));
  }
}

export class UnknownCommandError extends MigError {
  constructor(readonly commandId: string) {
    super(
      'unknown-command',
      `command ${commandId} is not known; it may be older than the retention of finished commands`,
    );
  }
}

export class NotCancellableError extends MigError {
  constructor(readonly command: CommandRecord) {
    super(
      'not-cancellable',
      `command ${command.id} is ${command.state}: only what the VM has not yet taken can be cancelled`,
    );
  }
}

export class TooManyCommandsError extends MigError {
  constructor(vmId: string, limit: number) {
    super(
      'too-many-commands',
      `VM ${vmId} has ${limit} unfinished commands, the most that a VM may have: cancel some, or wait until they end`,
    );
  }
}

export interface Submission {
  readonly vmId: string;
  readonly type: string;
  readonly parameters: Parameters;
  readonly createdBy: string;
  readonly deliveryDeadlineMs?: number | undefined;
  readonly executionDeadlineMs?: number | undefined;
  /** The same key for the same VM again gives the same command. */
  readonly idempotencyKey?: string | undefined;
}

export interface CommandQueue {
  /**
   * Resolves when the command is durable (I1).
   * @throws BadCommandError, TooManyCommandsError, StoreUnavailableError
   */
  submit(submission: Submission): Promise<CommandRecord>;
  /** @throws UnknownCommandError */
  get(commandId: string): CommandRecord;
  /** By time of submission. */
  list(filter: {
    readonly vmId?: string | undefined;
    readonly state?: CommandState | undefined;
  }): CommandRecord[];
  /** Unfinished, durable commands of a VM in their order. */
  open(vmId: string): CommandRecord[];
  /** Those that may go out now, in their order. */
  deliverable(vmId: string): CommandRecord[];
  /** @throws UnknownCommandError, NotCancellableError, StoreUnavailableError */
  cancel(commandId: string): Promise<CommandRecord>;
  /**
   * It goes onto the stream of this boot. Resolves when that is durable; if it cannot be, it stays queued.
   * @throws StoreUnavailableError
   */
  markSent(commandId: string, bootId: string): Promise<void>;
  /** Says on the record why the command has not gone out. */
  note(commandId: string, message: string): void;
  /** The stream ended: what was sent and not acknowledged waits for the next. */
  requeueSent(vmId: string): void;
  /** Ends a command from the controller's side. */
  end(commandId: string, state: 'failed' | 'expired' | 'superseded', message: string): void;
  /**
   * The VM's word on a command. Resolves when it is recorded: `resultStored` says that the VM need not say it again.
   * An ack for another VM's command, or for one that is not known, changes nothing.
   */
  acknowledge(vmId: string, ack: CommandAck): Promise<{ readonly resultStored: boolean }>;
  /** Ends what has passed its deadlines; forgets the oldest finished commands. Called every second. */
  sweep(): void;
}

export interface CommandQueueOptions {
  /** Default 1,000. */
  readonly maxOpenPerVm: number;
  /** Default 20,000. */
  readonly maxFinished: number;
  /** Finished commands are kept this long, default 7 days. */
  readonly finishedRetentionMs: number;
}

export interface CommandQueueDeps {
  readonly store: Store;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** After the delivery deadline, a command that may have reached the VM waits this long for the VM's word on it. */
const UNKNOWN_OUTCOME_GRACE_MS = 60 * 60_000;
/** After the execution deadline, a result that is under way may still come. */
const RESULT_GRACE_MS = 60_000;

export function createCommandQueue(deps: CommandQueueDeps, options: CommandQueueOptions): CommandQueue {
  const { store, feed, clock, logger } = deps;
  /** In the order of their sequence. */
  const commands = new Map<string, CommandRecord>();
  const openByVm = new Map<string, Set<string>>();
  /** Accepted, but not yet on disk: they cannot go out. */
  const notDurable = new Set<string>();
  const byKey = new Map<string, Promise<CommandRecord>>();
  /** The last write of each record that is not, or not yet, on disk as it is here. */
  const unsaved = new Map<string, Promise<void>>();
  let lastSequence = 0;
  let finishedCount = 0;

  for (const command of [...store.loadedCommands()].sort((a, b) => a.sequence - b.sequence)) {
    // What was sent by the controller before this one may or may not have arrived: it goes out again.
    const record: CommandRecord = command.state === 'sent' ? { ...command, state: 'queued' } : command;
    remember(record);
    lastSequence = Math.max(lastSequence, record.sequence);
    if (isFinal(record.state)) finishedCount += 1;
    if (record.idempotencyKey !== undefined)
      byKey.set(keyOf(record.vmId, record.idempotencyKey), Promise.resolve(record));
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

  /** Changes a record in memory and on disk. Resolves when it is durable; a failure is logged as well. */
  function change(record: CommandRecord, fields: Partial<CommandRecord>): Promise<void> {
    const next = { ...record, ...fields };
    assertCommandTransition(record.id, record.state, next.state); // I6
    remember(next);
    if (isFinal(next.state) && !isFinal(record.state)) finishedCount += 1;
    feed.publish({ kind: 'command', command: next });
    return save(next);
  }

  function save(record: CommandRecord): Promise<void> {
    const saved = store.saveCommand(record);
    unsaved.set(record.id, saved);
    saved.then(
      () => {
        if (unsaved.get(record.id) === saved) unsaved.delete(record.id);
      },
      (error: unknown) =>
        logger.error(
          { vmId: record.vmId, commandId: record.id, reason: errorMessage(error) },
          'a command could not be stored',
        ),
    );
    return saved;
  }

  /** Resolves when the record is on disk as it is here; what could not be written before is written again. */
  async function ensureSaved(commandId: string): Promise<void> {
    const pending = unsaved.get(commandId);
    if (pending === undefined) return;
    const done = await pending.then(
      () => true,
      () => false,
    );
    if (!done) await save(required(commandId));
  }

  function finish(record: CommandRecord, state: CommandState, message: string): Promise<void> {
    return change(record, { state, message, finishedAt: clock.now() });
  }

  async function submitNow(submission: Submission): Promise<CommandRecord> {
    const { type } = submission;
    const faults = commandFaults(type, submission.parameters, 'submit');
    if (faults.length > 0 || !isCommandType(type)) throw new BadCommandError(faults);
    const open = openByVm.get(submission.vmId)?.size ?? 0;
    if (open >= options.maxOpenPerVm) throw new TooManyCommandsError(submission.vmId, options.maxOpenPerVm);

    const now = clock.now();
    const deliveryDeadlineAt = now + (submission.deliveryDeadlineMs ?? DEFAULT_DELIVERY_DEADLINE_MS);
    const executionDeadlineAt =
      submission.executionDeadlineMs === undefined
        ? deliveryDeadlineAt + COMMAND_SPECS[type].executionDeadlineMs
        : now + submission.executionDeadlineMs;
    lastSequence += 1;
    const record: CommandRecord = {
      id: newId('cmd', now),
      vmId: submission.vmId,
      type,
      parameters: submission.parameters,
      state: 'queued',
      sequence: lastSequence,
      attempts: 0,
      createdAt: now,
      createdBy: submission.createdBy,
      deliveryDeadlineAt,
      executionDeadlineAt,
      idempotencyKey: submission.idempotencyKey,
      sentAt: undefined,
      sentToBoot: undefined,
      receivedAt: undefined,
      finishedAt: undefined,
      message: undefined,
      result: undefined,
    };
    notDurable.add(record.id);
    remember(record);
    try {
      await store.saveCommand(record); // I1
    } catch (error) {
      commands.delete(record.id);
      openByVm.get(record.vmId)?.delete(record.id);
      notDurable.delete(record.id);
      // Those that waited behind it need not wait any more.
      const next = durablePrefix(record.vmId).at(-1);
      if (next !== undefined) feed.publish({ kind: 'command', command: next });
      throw error;
    }
    notDurable.delete(record.id);
    feed.publish({ kind: 'command', command: record });
    return record;
  }

  function openRecords(vmId: string): CommandRecord[] {
    return [...(openByVm.get(vmId) ?? [])].map(required).filter((record) => !notDurable.has(record.id));
  }

  /** Up to the first that is not yet on disk: what was submitted after it must not overtake it. */
  function durablePrefix(vmId: string): CommandRecord[] {
    const open = [...(openByVm.get(vmId) ?? [])].map(required);
    const end = open.findIndex((record) => notDurable.has(record.id));
    return end < 0 ? open : open.slice(0, end);
  }

  function sweepOpen(record: CommandRecord, now: number): void {
    const unknownOutcome = record.attempts > 0;
    if (record.state === 'queued') {
      const deadline = Math.min(record.deliveryDeadlineAt, record.executionDeadlineAt);
      if (now < deadline + (unknownOutcome ? UNKNOWN_OUTCOME_GRACE_MS : 0)) return;
      const why = unknownOutcome
        ? `sent ${record.attempts} times without an answer before the delivery deadline: whether it took effect is not known`
        : 'the VM was not reached before the delivery deadline';
      finish(record, 'expired', record.message === undefined ? why : `${why} (${record.message})`).catch(
        () => undefined,
      );
    } else if (now >= record.executionDeadlineAt + RESULT_GRACE_MS) {
      finish(record, 'expired', 'no result came from the VM by the execution deadline').catch(
        () => undefined,
      );
    }
  }

  /** Forgets the oldest finished commands beyond the limit, and those beyond the retention. */
  function sweepFinished(now: number): void {
    for (const record of commands.values()) {
      if (!isFinal(record.state)) continue;
      const old = now - (record.finishedAt ?? record.createdAt) > options.finishedRetentionMs;
      if (!old && finishedCount <= options.maxFinished) break;
      commands.delete(record.id);
      unsaved.delete(record.id);
      finishedCount -= 1;
      if (record.idempotencyKey !== undefined) byKey.delete(keyOf(record.vmId, record.idempotencyKey));
      store
        .deleteCommand(record)
        .catch((error: unknown) =>
          logger.warn(
            { commandId: record.id, reason: errorMessage(error) },
            'an old command could not be removed',
          ),
        );
    }
  }

  return {
    submit(submission) {
      if (submission.idempotencyKey === undefined) return submitNow(submission);
      const key = keyOf(submission.vmId, submission.idempotencyKey);
      const before = byKey.get(key);
      if (before !== undefined) return before.then((record) => commands.get(record.id) ?? record);
      const submitted = submitNow(submission);
      byKey.set(key, submitted);
      submitted.catch(() => byKey.delete(key));
      return submitted;
    },

    get: required,

    list: ({ vmId, state }) =>
      [...commands.values()].filter(
        (record) =>
          (vmId === undefined || record.vmId === vmId) &&
          (state === undefined || record.state === state) &&
          !notDurable.has(record.id),
      ),

    open: openRecords,
    deliverable: durablePrefix,

    async cancel(commandId) {
      const record = required(commandId);
      if (record.state === 'cancelled' && unsaved.has(commandId)) {
        await ensureSaved(commandId); // cancelled before, and refused because it could not be stored
        return required(commandId);
      }
      if (record.state !== 'queued' && record.state !== 'sent') throw new NotCancellableError(record);
      await finish(record, 'cancelled', 'cancelled by the operator');
      return required(commandId);
    },

    async markSent(commandId, bootId) {
      const record = required(commandId);
      if (record.state === 'received') return;
      try {
        await change(record, {
          state: 'sent',
          attempts: record.attempts + 1,
          sentAt: clock.now(),
          sentToBoot: bootId,
          message: undefined,
        });
      } catch (error) {
        const now = commands.get(commandId);
        if (now?.state === 'sent') change(now, { state: 'queued' }).catch(() => undefined);
        throw error;
      }
    },

    note(commandId, message) {
      const record = required(commandId);
      if (record.state === 'queued' && record.message !== message)
        change(record, { message }).catch(() => undefined);
    },

    requeueSent(vmId) {
      for (const record of openRecords(vmId)) {
        if (record.state === 'sent') change(record, { state: 'queued' }).catch(() => undefined);
      }
    },

    end(commandId, state, message) {
      const record = required(commandId);
      if (!isFinal(record.state)) finish(record, state, message).catch(() => undefined);
    },

    async acknowledge(vmId, ack) {
      const record = commands.get(ack.commandId);
      if (record === undefined || record.vmId !== vmId) {
        logger.warn(
          { vmId, commandId: ack.commandId },
          'an acknowledgement of a command that this VM does not have',
        );
        return { resultStored: true };
      }
      if (ack.phase === 'received') {
        if (record.state === 'queued')
          await change(record, { state: 'sent', sentAt: record.sentAt ?? clock.now() });
        const now = required(record.id);
        if (now.state === 'sent') await change(now, { state: 'received', receivedAt: clock.now() });
        return { resultStored: false };
      }
      if (isFinal(record.state)) {
        await noteLateResult(record, ack);
        await ensureSaved(record.id); // I2: a result that could not be stored is not confirmed
        return { resultStored: true };
      }
      if (record.state === 'queued')
        await change(record, { state: 'sent', sentAt: record.sentAt ?? clock.now() });
      await change(required(record.id), {
        state: resultState(record, ack),
        message: ack.message === '' ? undefined : ack.message,
        result: ack.result,
        receivedAt: record.receivedAt ?? clock.now(),
        finishedAt: clock.now(),
      });
      return { resultStored: true };
    },

    sweep() {
      const now = clock.now();
      for (const open of openByVm.values()) {
        for (const id of [...open]) if (!notDurable.has(id)) sweepOpen(required(id), now);
      }
      sweepFinished(now);
    },
  };

  /** The VM answered after the record was closed: the first result stays, what came late is told beside it. */
  async function noteLateResult(record: CommandRecord, ack: CommandAck): Promise<void> {
    if (record.state !== 'cancelled' && record.state !== 'expired') return;
    const late = `; the VM had already taken it: ${ack.success ? 'done' : `failed (${ack.message})`}`;
    if (ack.result['code'] === RESULT_EXPIRED || record.message?.endsWith(late)) return;
    await change(record, { message: `${record.message ?? record.state}${late}`, result: ack.result });
  }
}

function resultState(record: CommandRecord, ack: CommandAck): CommandState {
  if (ack.success) return 'completed';
  // Refused by the VM because its time had passed, before anything was done (I3).
  return ack.result['code'] === RESULT_EXPIRED && record.state !== 'received' ? 'expired' : 'failed';
}

const keyOf = (vmId: string, key: string): string => `${vmId} ${key}`;
