/**
 * What the MIGlet says to its controller and hears from it, over whichever session is up.
 *
 * Events and results of commands are journaled before they are sent, sent again in every new session until the controller
 * has acknowledged them (I2, I4), and kept until then. A legacy controller acknowledges neither: for it, sent is
 * acknowledged, and a command is answered once, with its result.
 */
import { newId } from '@mig/common/domain/ids';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type {
  ConnectAck,
  ConnectRequest,
  ControllerMessage,
  DeregisterResult,
} from '@mig/common/domain/messages';
import type { VmIdentity, VmReport } from '@mig/common/domain/vm';
import type { CommandJournal, EventJournal, JournaledCommand, JournaledEvent } from '../journal/journal.js';
import type { DeregisterAnswer } from '../machine/types.js';
import { openSession, type Session, type SessionOptions } from './session.js';
import type { CommandIntake } from './command-intake.js';

export interface LinkHandlers {
  onUp(ack: ConnectAck): void;
  onDown(reason: string): void;
}

export interface ControllerLink {
  /** Opens a session in place of the one before. @returns ends it in order */
  open(hello: ConnectRequest, handlers: LinkHandlers): () => void;
  emitEvent(type: string, data: Readonly<Record<string, string>>): void;
  settleCommand(commandId: string, outcome: NonNullable<JournaledCommand['outcome']>): void;
  sendHeartbeat(report: VmReport): void;
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
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long an orderly end of a session may take. */
const CLOSE_DEADLINE_MS = 2_000;
/** Just over the least time between two probes that grpc-go allows (keepalive.EnforcementPolicy.MinTime, 5 minutes). */
const LEGACY_KEEPALIVE_MS = 310_000;
/** Events that were sent and are not acknowledged within this time are sent again. */
const RESEND_MS = 30_000;

export function createControllerLink(deps: ControllerLinkDeps): ControllerLink {
  const { identity, bootId, events, commands, intake, clock, logger } = deps;
  let session: Session | undefined;
  let legacy = false;
  let closing: Promise<void> = Promise.resolve();
  let resendTimer: unknown;
  const questions = new Map<string, (answer: DeregisterAnswer) => void>();
  const flushWaiters = new Set<() => void>();

  /** A legacy controller (grpc-go by default) ends a connection that is probed more often than every 5 minutes. */
  function sessionOptions(): SessionOptions {
    const options = deps.session();
    return legacy ? { ...options, keepaliveMs: Math.max(options.keepaliveMs, LEGACY_KEEPALIVE_MS) } : options;
  }

  function sendEvent(event: JournaledEvent): void {
    const sent = session?.send({
      kind: 'event',
      event: { ...identity, ...event, bootId },
    });
    if (sent && legacy) events.acknowledge(event.sequence);
    else if (sent) resendTimer ??= clock.setTimer(resend, RESEND_MS);
  }

  function resend(): void {
    resendTimer = undefined;
    if (session !== undefined) for (const event of events.pending()) sendEvent(event);
  }

  function sendResult(command: JournaledCommand): void {
    const { id, outcome } = command;
    if (outcome === undefined) return;
    const sent = session?.send({ kind: 'ack', ack: { commandId: id, phase: 'completed', ...outcome } });
    if (sent && legacy) commands.markReported(id);
  }

  function handleUp(ack: ConnectAck): void {
    legacy = ack.sessionId === '';
    if (ack.lastEventSequence > 0) events.acknowledge(ack.lastEventSequence);
    for (const event of events.pending()) sendEvent(event);
    for (const command of commands.all()) if (!command.reported) sendResult(command);
    checkFlushed();
  }

  function handleDown(): void {
    session = undefined;
    clock.clearTimer(resendTimer);
    resendTimer = undefined;
    for (const answer of questions.values())
      answer({ outcome: 'unavailable', message: 'the controller is not connected' });
    questions.clear();
  }

  function handleMessage(message: ControllerMessage): void {
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
        if (verdict.kind === 'taken') verdict.begin();
        return;
      }
      case 'eventAck':
        if (message.bootId === bootId) events.acknowledge(message.sequence);
        checkFlushed();
        return;
      case 'resultAck':
        if (commands.get(message.commandId)?.reported === false) commands.markReported(message.commandId);
        checkFlushed();
        return;
      case 'deregisterResult':
        answerQuestion(message.result);
        return;
      case 'error':
        logger.warn(
          { code: message.error.code, reason: message.error.message },
          'the controller reports an error',
        );
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
      events.pending().length === 0 &&
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
      const opened = openSession(sessionOptions(), hello, {
        onUp(ack) {
          if (!current) return;
          session = opened;
          handlers.onUp(ack);
          handleUp(ack);
        },
        onMessage: (message) => {
          if (current) handleMessage(message);
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
      logger.info({ event: type, ...data }, `event ${type}`);
      sendEvent(events.append(type, data, clock.now()));
    },

    settleCommand(commandId, outcome) {
      const before = commands.get(commandId);
      if (before?.outcome !== undefined) return;
      logger.info({ commandId, success: outcome.success, result: outcome.message }, 'a command has ended');
      commands.finish(commandId, outcome);
      const command = commands.get(commandId);
      if (command !== undefined) sendResult(command);
    },

    sendHeartbeat(report) {
      session?.send({ kind: 'heartbeat', heartbeat: { ...identity, bootId, report, at: clock.now() } });
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

    closed: () => closing,
  };
}
