/**
 * What the MIGlet says to its controller and hears from it, over whichever session is up.
 *
 * Events and results of commands are journaled before they are sent, sent again until the controller has acknowledged them
 * (I2, I4), and kept until then. A legacy controller acknowledges neither: for it, sent is acknowledged, and a command is
 * answered once, with its result.
 *
 * If the VM's disk takes nothing, an event waits until it does. A result does not: its command was journaled, so that a
 * crash makes the next process of the MIGlet report it a second time, by its type, and the controller keeps the first.
 */
import { newId } from '@mig/common/domain/ids';
import { printable } from '@mig/common/errors';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { testPoint } from '@mig/common/test-points';
import type {
  ConnectAck,
  ConnectRequest,
  ControllerMessage,
  DeregisterResult,
} from '@mig/common/domain/messages';
import type { VmIdentity, VmReport } from '@mig/common/domain/vm';
import type { CommandJournal, EventJournal, JournaledCommand } from '../journal/journal.js';
import type { DeregisterAnswer } from '../machine/types.js';
import { createEventSender } from './event-sender.js';
import { openSession, type Session, type SessionOptions } from './session.js';
import type { CommandIntake } from './command-intake.js';

export interface LinkHandlers {
  onUp(ack: ConnectAck): void;
  /** The shortest interval of heartbeats that the controller takes has changed. */
  onHeartbeatPolicy(intervalMs: number): void;
  /** The controller ends, and asks to be called again after this. */
  onReconnect(afterMs: number): void;
  onDown(reason: string): void;
}

export interface ControllerLink {
  /** Opens a session in place of the one before. @returns ends it in order */
  open(hello: ConnectRequest, handlers: LinkHandlers): () => void;
  emitEvent(type: string, data: Readonly<Record<string, string>>): void;
  settleCommand(commandId: string, outcome: NonNullable<JournaledCommand['outcome']>): void;
  /** @param intervalMs when the next one is to be expected after it */
  sendHeartbeat(report: VmReport, intervalMs: number): void;
  /** Never rejects; a link that is down, or goes down, answers `unavailable`. */
  deregister(runnerName: string, signal: AbortSignal): Promise<DeregisterAnswer>;
  /** Resolves when the controller has acknowledged everything that is journaled. */
  flushed(): Promise<void>;
  /** Resolves when the last session has ended. */
  closed(): Promise<void>;
}

export interface ControllerLinkDeps {
  readonly identity: VmIdentity;
  readonly bootId: string;
  readonly session: () => SessionOptions;
  readonly events: EventJournal;
  readonly commands: CommandJournal;
  readonly intake: CommandIntake;
  /** The controller has sent the next token of the VM's session. */
  readonly onSessionToken?: (token: string, expiresInMs: number) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How a session is opened; default: over gRPC. */
  readonly openSession?: typeof openSession;
}

/** How long an orderly end of a session may take. */
const CLOSE_DEADLINE_MS = 2_000;
/** Just over the least time between two probes that grpc-go allows (keepalive.EnforcementPolicy.MinTime, 5 minutes). */
const LEGACY_KEEPALIVE_MS = 310_000;
/** Results that are not acknowledged are sent again this often. */
const RESEND_MS = 30_000;
/** A disk that took nothing is tried again this often. */
const WRITE_AGAIN_MS = 5_000;

/** A log line needs no more of an event's data; all of it is in the event. */
const MAX_LOGGED_LENGTH = 500;

const shortened = (data: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, printable(value, MAX_LOGGED_LENGTH)]));

/** Events that carry texts of others: the log says how long these are, and no more (I8). */
const TEXTS = new Set(['runner_diag']);

const sizesOf = (data: Readonly<Record<string, string>>): Record<string, number> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [`${key}_bytes`, Buffer.byteLength(value)]));

export function createControllerLink(deps: ControllerLinkDeps): ControllerLink {
  const { identity, bootId, events, commands, intake, clock, logger } = deps;
  const open = deps.openSession ?? openSession;
  let session: Session | undefined;
  let legacy = false;
  let closing: Promise<void> = Promise.resolve();
  let resendTimer: unknown;
  let writeTimer: unknown;
  let diskWrites = true;
  const questions = new Map<string, (answer: DeregisterAnswer) => void>();
  const flushWaiters = new Set<() => void>();

  /** A legacy controller (grpc-go by default) ends a connection that is probed more often than every 5 minutes. */
  function sessionOptions(): SessionOptions {
    const options = deps.session();
    return legacy ? { ...options, keepaliveMs: Math.max(options.keepaliveMs, LEGACY_KEEPALIVE_MS) } : options;
  }

  const sender = createEventSender({
    events,
    send: (event, previousSequence) =>
      session?.send({ kind: 'event', event: { ...identity, ...event, bootId, previousSequence } }) === true,
    clock,
  });

  function sendResult(command: JournaledCommand): void {
    const { id, outcome } = command;
    if (outcome === undefined) return;
    const sent = session?.send({ kind: 'ack', ack: { commandId: id, phase: 'completed', ...outcome } });
    if (sent) testPoint('results.sent');
    if (sent && legacy) commands.markReported(id);
    else if (session !== undefined) resendTimer ??= clock.setTimer(sendResults, RESEND_MS);
  }

  function sendResults(): void {
    clock.clearTimer(resendTimer);
    resendTimer = undefined;
    for (const command of commands.all()) if (!command.reported) sendResult(command);
  }

  /** What the disk refused is written when it has space again. */
  function ensureWritten(): void {
    clock.clearTimer(writeTimer);
    // Both, whatever becomes of the first.
    const written = [commands.retry(), events.retry()].every((all) => all);
    if (written !== diskWrites) {
      diskWrites = written;
      if (written)
        logger.info({ event: 'journal_written' }, 'the disk has space again: the journals are written');
      else
        logger.error({ event: 'journal_refused' }, 'the disk takes nothing: what happens is kept in memory');
    }
    writeTimer = written ? undefined : clock.setTimer(ensureWritten, WRITE_AGAIN_MS);
    sender.push();
  }

  function handleUp(ack: ConnectAck): void {
    legacy = ack.sessionId === '';
    sender.begin(ack.lastEventSequence, legacy);
    sendResults();
    checkFlushed();
  }

  function handleDown(): void {
    session = undefined;
    sender.end();
    clock.clearTimer(resendTimer);
    resendTimer = undefined;
    for (const answer of questions.values())
      answer({ outcome: 'unavailable', message: 'the controller is not connected' });
    questions.clear();
  }

  function handleMessage(message: ControllerMessage, handlers: LinkHandlers): void {
    switch (message.kind) {
      case 'command': {
        const verdict = intake.take(message.command);
        if (verdict.kind === 'answer') {
          session?.send({
            kind: 'ack',
            ack: { commandId: message.command.id, phase: 'completed', ...verdict.outcome },
          });
          return;
        }
        if (!legacy) {
          const ack = { commandId: message.command.id, success: true, message: '', result: {} };
          session?.send({ kind: 'ack', ack: { ...ack, phase: 'received' } });
        }
        if (verdict.kind !== 'taken') return;
        testPoint('intake.acknowledged');
        verdict.begin();
        return;
      }
      case 'eventAck':
        if (message.bootId === bootId) sender.acknowledge(message.sequence);
        testPoint('events.acknowledged');
        checkFlushed();
        return;
      case 'resultAck': {
        const command = commands.get(message.commandId);
        // Of a command that has not ended there is nothing to record: its result is still to come.
        if (command?.outcome !== undefined && !command.reported) commands.markReported(command.id);
        if (!commands.retry()) ensureWritten();
        testPoint('results.reported');
        checkFlushed();
        return;
      }
      case 'deregisterResult':
        answerQuestion(message.result);
        return;
      case 'error':
        logger.warn(
          { code: message.error.code, reason: message.error.message },
          'the controller reports an error',
        );
        return;
      case 'heartbeatPolicy':
        handlers.onHeartbeatPolicy(message.intervalMs);
        return;
      case 'sessionToken':
        deps.onSessionToken?.(message.token, message.expiresInMs);
        return;
      case 'reconnect':
        logger.info(
          { event: 'reconnect', afterMs: message.afterMs, reason: message.reason },
          'the controller ends the stream, and asks to be called again',
        );
        handlers.onReconnect(message.afterMs);
        return;
      case 'connectAck':
      case 'unknown':
      case 'malformed':
        logger.debug({ kind: message.kind }, 'a message of the controller was ignored');
    }
  }

  function answerQuestion(result: DeregisterResult): void {
    questions.get(result.requestId)?.({ outcome: result.outcome, message: result.message });
    questions.delete(result.requestId);
  }

  function isFlushed(): boolean {
    return (
      events.pendingCount === 0 &&
      events.waitingCount === 0 &&
      commands.all().every((command) => command.outcome === undefined || command.reported)
    );
  }

  function checkFlushed(): void {
    if (flushWaiters.size === 0 || !isFlushed()) return;
    for (const resolve of flushWaiters) resolve();
    flushWaiters.clear();
  }

  return {
    open(hello, handlers) {
      let current = true;
      const opened = open(sessionOptions(), hello, {
        onUp(ack) {
          if (!current) return;
          session = opened;
          testPoint('session.opened');
          handlers.onUp(ack);
          handleUp(ack);
        },
        onMessage: (message) => {
          if (current) handleMessage(message, handlers);
        },
        onDown(reason) {
          if (!current) return;
          current = false;
          handleDown();
          handlers.onDown(reason);
        },
      });
      return () => {
        if (!current) return;
        current = false;
        handleDown();
        closing = opened.close(CLOSE_DEADLINE_MS);
      };
    },

    emitEvent(type, data) {
      logger.info({ event: type, ...(TEXTS.has(type) ? sizesOf(data) : shortened(data)) }, `event ${type}`);
      events.append(type, data, clock.now());
      if (events.waitingCount > 0) {
        ensureWritten();
        return;
      }
      testPoint('events.journaled');
      sender.push();
    },

    settleCommand(commandId, outcome) {
      const before = commands.get(commandId);
      if (before?.outcome !== undefined) return;
      testPoint('results.reached');
      logger.info({ commandId, success: outcome.success, result: outcome.message }, 'a command has ended');
      commands.finish(commandId, outcome);
      if (!commands.retry()) ensureWritten();
      testPoint('results.journaled');
      const command = commands.get(commandId);
      if (command !== undefined) sendResult(command);
    },

    sendHeartbeat(report, intervalMs) {
      session?.send({
        kind: 'heartbeat',
        heartbeat: { ...identity, bootId, report, at: clock.now(), intervalMs },
      });
    },

    deregister(runnerName, signal) {
      if (legacy && session !== undefined) {
        return Promise.resolve({
          outcome: 'notManaged',
          message: 'a legacy controller deletes no registration',
        });
      }
      const requestId = newId('deregister', clock.now());
      return new Promise((resolve) => {
        if (!session?.send({ kind: 'deregister', requestId, runnerName })) {
          resolve({ outcome: 'unavailable', message: 'the controller is not connected' });
          return;
        }
        questions.set(requestId, resolve);
        signal.addEventListener('abort', () => questions.delete(requestId), { once: true });
      });
    },

    flushed: () =>
      isFlushed() ? Promise.resolve() : new Promise((resolve) => flushWaiters.add(() => resolve())),

    closed() {
      clock.clearTimer(writeTimer);
      return closing;
    },
  };
}
