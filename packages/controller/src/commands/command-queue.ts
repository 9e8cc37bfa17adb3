/**
 * The durable queue of commands: what was asked of each VM, and what became of it.
 *
 * A command is stored before its submitter hears of it (I1), moves along its transition table (I6), and ends by its
 * deadlines if by nothing else (I3). The commands of a VM have an order, the order of their submission; a newer one may
 * take the place of an older one that has not gone out (folding.ts). Sending is `delivery.ts`; this file knows no stream.
 *
 * Limits (I12): `maxOpenPerVm` unfinished commands of a VM, above which a submission is refused; `maxFinished` finished
 * ones in all, above which the oldest are forgotten.
 */
import { isFinal, type CommandState } from '@mig/common/domain/command-state';
import {
  COMMAND_SPECS,
  DEFAULT_DELIVERY_DEADLINE_MS,
  commandFaults,
  isCommandType,
  type CommandType,
} from '@mig/common/domain/command-types';
import {
  RESULT_EXPIRED,
  type CommandAck,
  type CommandRecord,
  type Parameters,
} from '@mig/common/domain/command';
import { newId } from '@mig/common/domain/ids';
import { testPoint } from '@mig/common/test-points';
import { createCommandBook, type CommandBookDeps } from './command-book.js';
import { BadCommandError, NotCancellableError, TooManyCommandsError } from './errors.js';
import { foldedParameters, folds } from './folding.js';

export interface Submission {
  readonly vmId: string;
  readonly type: string;
  readonly parameters: Parameters;
  readonly createdBy: string;
  readonly deliveryDeadlineMs?: number | undefined;
  readonly executionDeadlineMs?: number | undefined;
  /** The one boot that it is for; undefined = whichever comes. */
  readonly forBoot?: string | undefined;
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
  /** As it is on disk, for outsiders: a crash takes back nothing that they were told. */
  stored(command: CommandRecord): CommandRecord;
  /** How long it may still go out for the first time, and be started; milliseconds, less than 0 = its time has passed. */
  remainingMs(command: CommandRecord): { readonly delivery: number; readonly execution: number };
  /** By time of submission. */
  list(filter: {
    readonly vmId?: string | undefined;
    readonly state?: CommandState | undefined;
  }): CommandRecord[];
  /** Unfinished, durable commands of a VM in their order. */
  open(vmId: string): CommandRecord[];
  /** Those that may go out now, in their order. */
  deliverable(vmId: string): CommandRecord[];
  /**
   * @param message why, for people; default: by the operator
   * @throws UnknownCommandError, NotCancellableError, StoreUnavailableError
   */
  cancel(commandId: string, message?: string): Promise<CommandRecord>;
  /**
   * It goes onto the stream of this boot. Resolves when that is durable; if it cannot be, it stays queued, unless it was stored
   * already that it may go there (`isForetold`).
   * @throws StoreUnavailableError
   */
  markSent(commandId: string, bootId: string): Promise<void>;
  /** As `markSent`, of a command that is foretold: there is nothing to wait for. */
  markForetold(commandId: string, bootId: string): void;
  /** Is it on disk already that it may have gone to this boot? Then it need not be stored once more before it goes. */
  isForetold(command: CommandRecord, bootId: string): boolean;
  /** Says on the record why the command has not gone out. */
  note(commandId: string, message: string): void;
  /** The stream ended: what was sent and not acknowledged waits for the next. */
  requeueSent(vmId: string): void;
  /** Ends a command from the controller's side. */
  end(
    commandId: string,
    state: 'failed' | 'expired' | 'superseded',
    message: string,
    supersededBy?: string,
  ): void;
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

export interface CommandQueueDeps extends CommandBookDeps {
  /** Is a stream of this VM open? */
  isConnected(vmId: string): boolean;
  /** The boot to which a command of this VM goes at once when it is stored; undefined = it may have to wait. */
  goesTo?(vmId: string): string | undefined;
}

/** After the delivery deadline, a command that may have reached the VM waits this long for the VM's word on it. */
const UNKNOWN_OUTCOME_GRACE_MS = 60 * 60_000;
/** After the execution deadline, a result that is under way may still come. */
const RESULT_GRACE_MS = 60_000;

export function createCommandQueue(deps: CommandQueueDeps, options: CommandQueueOptions): CommandQueue {
  const { feed, clock, logger } = deps;
  const book = createCommandBook(deps);
  const { required, change } = book;
  const keyed = new Map<string, Promise<CommandRecord>>();
  for (const record of book.all()) {
    if (record.idempotencyKey !== undefined)
      keyed.set(keyOf(record.vmId, record.idempotencyKey), Promise.resolve(record));
  }

  function finish(record: CommandRecord, state: CommandState, message: string): Promise<void> {
    return change(record, { state, message, finishedAt: clock.now() });
  }

  async function submitNow(submission: Submission): Promise<CommandRecord> {
    const { type } = submission;
    const faults = commandFaults(type, submission.parameters, 'submit');
    if (faults.length > 0 || !isCommandType(type)) throw new BadCommandError(faults);
    // A connected VM gets them one after the other: there is nothing to fold.
    const folded = deps.isConnected(submission.vmId)
      ? []
      : openRecords(submission.vmId).filter((older) => folds(type, older));
    if (book.openCount(submission.vmId) - folded.length >= options.maxOpenPerVm)
      throw new TooManyCommandsError(submission.vmId, options.maxOpenPerVm);

    const now = clock.now();
    const deliveryDeadlineAt = now + (submission.deliveryDeadlineMs ?? DEFAULT_DELIVERY_DEADLINE_MS);
    const executionDeadlineAt =
      submission.executionDeadlineMs === undefined
        ? deliveryDeadlineAt + COMMAND_SPECS[type].executionDeadlineMs
        : now + submission.executionDeadlineMs;
    const record: CommandRecord = {
      id: newId('cmd', now),
      vmId: submission.vmId,
      type,
      parameters: foldedParameters(type, submission.parameters, folded),
      state: 'queued',
      sequence: book.nextSequence(),
      attempts: 0,
      createdAt: now,
      createdBy: submission.createdBy,
      forBoot: submission.forBoot,
      deliveryDeadlineAt,
      executionDeadlineAt,
      idempotencyKey: submission.idempotencyKey,
      sentAt: undefined,
      sentToBoot: foretold(type, submission.vmId),
      receivedAt: undefined,
      finishedAt: undefined,
      supersededBy: undefined,
      message: undefined,
      result: undefined,
    };
    try {
      await book.enter(record); // I1
    } catch (error) {
      // Those that waited behind it need not wait any more.
      const next = durablePrefix(record.vmId).at(-1);
      if (next !== undefined) feed.publish({ kind: 'command', command: next });
      throw error;
    }
    // After it is durable, so that a crash in between leaves one too many, never one too few (I1).
    for (const { id } of folded) {
      const older = book.get(id);
      // It may have gone out meanwhile.
      if (older === undefined || !folds(type, older)) continue;
      change(older, {
        state: 'superseded',
        supersededBy: record.id,
        message: `${record.id} took its place before it went out`,
        finishedAt: clock.now(),
      }).catch(() => undefined);
    }
    feed.publish({ kind: 'command', command: record });
    return record;
  }

  /**
   * The boot to which it will be sent, if that is as good as certain: it is stored with the command, so that it need not be stored
   * again before it is sent (I2). A registration has to be completed first.
   */
  const foretold = (type: CommandType, vmId: string): string | undefined =>
    type === 'register_runner' || book.open(vmId).some(({ state }) => state === 'queued')
      ? undefined
      : deps.goesTo?.(vmId);

  const isForetold = (command: CommandRecord, bootId: string): boolean =>
    command.state === 'queued' && command.attempts === 0 && command.sentToBoot === bootId && bootId !== '';

  const sentTo = (bootId: string, { attempts }: CommandRecord): Partial<CommandRecord> => ({
    state: 'sent',
    attempts: attempts + 1,
    sentAt: clock.now(),
    sentToBoot: bootId,
    message: undefined,
  });

  const openRecords = (vmId: string): CommandRecord[] =>
    book.open(vmId).filter((record) => book.isDurable(record.id));

  /** Up to the first that is not yet on disk: what was submitted after it must not overtake it. */
  function durablePrefix(vmId: string): CommandRecord[] {
    const open = book.open(vmId);
    const end = open.findIndex((record) => !book.isDurable(record.id));
    return end < 0 ? open : open.slice(0, end);
  }

  function remainingMs(record: CommandRecord): { readonly delivery: number; readonly execution: number } {
    const now = book.steadyNow(record.id);
    return { delivery: record.deliveryDeadlineAt - now, execution: record.executionDeadlineAt - now };
  }

  function sweepOpen(record: CommandRecord): void {
    const { delivery, execution } = remainingMs(record);
    const unknownOutcome = record.attempts > 0;
    if (record.state === 'queued') {
      if (Math.min(delivery, execution) > (unknownOutcome ? -UNKNOWN_OUTCOME_GRACE_MS : 0)) return;
      const why = unknownOutcome
        ? `sent ${record.attempts} times without an answer before the delivery deadline: whether it took effect is not known`
        : 'the VM was not reached before the delivery deadline';
      finish(record, 'expired', record.message === undefined ? why : `${why} (${record.message})`).catch(
        () => undefined,
      );
    } else if (execution <= -RESULT_GRACE_MS) {
      finish(record, 'expired', 'no result came from the VM by the execution deadline').catch(
        () => undefined,
      );
    }
  }

  /** Forgets the oldest finished commands beyond the limit, and those beyond the retention. */
  function sweepFinished(now: number): void {
    for (const record of book.all()) {
      if (!isFinal(record.state)) continue;
      const old = now - (record.finishedAt ?? record.createdAt) > options.finishedRetentionMs;
      if (!old && book.finishedCount <= options.maxFinished) break;
      if (record.idempotencyKey !== undefined) keyed.delete(keyOf(record.vmId, record.idempotencyKey));
      book.forget(record);
    }
  }

  return {
    submit(submission) {
      if (submission.idempotencyKey === undefined) return submitNow(submission);
      const key = keyOf(submission.vmId, submission.idempotencyKey);
      const before = keyed.get(key);
      if (before !== undefined) return before.then((record) => book.get(record.id) ?? record);
      const submitted = submitNow(submission);
      keyed.set(key, submitted);
      submitted.catch(() => keyed.delete(key));
      return submitted;
    },

    get: required,
    stored: book.stored,
    remainingMs,

    list: ({ vmId, state }) =>
      [...book.all()].filter(
        (record) =>
          (vmId === undefined || record.vmId === vmId) &&
          (state === undefined || record.state === state) &&
          book.isDurable(record.id),
      ),

    open: openRecords,
    deliverable: durablePrefix,

    async cancel(commandId, message = 'cancelled by the operator') {
      const record = required(commandId);
      if (record.state === 'cancelled' && !book.isSaved(commandId)) {
        await book.ensureSaved(commandId); // cancelled before, and refused because it could not be stored
        return required(commandId);
      }
      if (record.state !== 'queued' && record.state !== 'sent') throw new NotCancellableError(record);
      await finish(record, 'cancelled', message);
      return required(commandId);
    },

    async markSent(commandId, bootId) {
      const record = required(commandId);
      if (record.state === 'received') return;
      const wasForetold = isForetold(record, bootId);
      try {
        await change(record, sentTo(bootId, record), { isStored: wasForetold });
      } catch (error) {
        const now = book.get(commandId);
        if (now?.state === 'sent' && !wasForetold) change(now, { state: 'queued' }).catch(() => undefined);
        throw error;
      }
    },

    markForetold(commandId, bootId) {
      const record = required(commandId);
      void change(record, sentTo(bootId, record), { isStored: true });
    },

    isForetold,

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

    end(commandId, state, message, supersededBy) {
      const record = required(commandId);
      if (isFinal(record.state)) return;
      change(record, { state, message, supersededBy, finishedAt: clock.now() }).catch(() => undefined);
    },

    acknowledge,

    sweep() {
      book.saveAgain();
      for (const record of book.openOfAll()) sweepOpen(record);
      sweepFinished(clock.now());
    },
  };

  async function acknowledge(vmId: string, ack: CommandAck): Promise<{ readonly resultStored: boolean }> {
    const record = book.get(ack.commandId);
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
      testPoint('commands.ackStored');
      return { resultStored: false };
    }
    if (isFinal(record.state)) {
      await noteLateResult(record, ack);
      await book.ensureSaved(record.id); // I2: a result that could not be stored is not confirmed
      return { resultStored: true };
    }
    if (record.state === 'queued') {
      await change(record, { state: 'sent', sentAt: record.sentAt ?? clock.now() });
      // Its stream may have ended meanwhile, which put it back.
      return acknowledge(vmId, ack);
    }
    await change(record, {
      state: resultState(record, ack),
      message: ack.message === '' ? undefined : ack.message,
      result: ack.result,
      receivedAt: record.receivedAt ?? clock.now(),
      finishedAt: clock.now(),
    });
    testPoint('commands.ackStored');
    return { resultStored: true };
  }

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
