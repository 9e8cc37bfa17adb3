/**
 * `CommandService.StreamCommands`: one MIGlet's stream, from its `connect` to its end.
 *
 * The first message is `connect`, and there is only one; every id is checked before it becomes a path or a key (I10); a VM
 * speaks only for itself (I10). What breaks this ends its own stream, with a status that says what was wrong, and nothing
 * else. What the stream carries is handed to the fleet, the event log and the command queue; this file decides nothing.
 */
import { Status, ServerError, type CallContext, type ServiceImplementation } from 'nice-grpc';
import { InvalidIdError, errorMessage, printable } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { assertId, newId } from '@mig/common/domain/ids';
import { MAX_EVENT_DATA, dataSize, isValidEventType } from '@mig/common/domain/event';
import type { ConnectRequest, ControllerMessage, MigletMessage } from '@mig/common/domain/messages';
import type { VmIdentity } from '@mig/common/domain/vm';
import type { commandServiceDefinition } from '@mig/common/wire/command-service';
import type { CommandQueue } from '../commands/command-queue.js';
import type { Delivery } from '../commands/delivery.js';
import type { Deregistration } from '../commands/deregistration.js';
import type { AutoRegistration } from '../commands/registration.js';
import type { EventLog } from '../fleet/event-log.js';
import type { Feed } from '../fleet/feed.js';
import type { Fleet } from '../fleet/fleet.js';
import type { CloseReason, Links, VmLink } from '../fleet/links.js';
import { STOPPING_MESSAGE } from './farewell.js';
import type { InFlight } from './in-flight.js';
import { createOutbox, type Outbox } from './outbox.js';
import type { StreamAdmission } from './stream-admission.js';

export interface CommandServiceDeps {
  readonly fleet: Fleet;
  readonly links: Links;
  readonly events: EventLog;
  readonly queue: CommandQueue;
  readonly delivery: Delivery;
  readonly autoRegistration: AutoRegistration;
  readonly deregistration: Deregistration;
  readonly feed: Feed;
  readonly logger: Logger;
  readonly version: string;
  /** The shortest time between two heartbeats that each MIGlet is asked to keep. */
  readonly heartbeatIntervalMs: () => number;
  /** Over how long the MIGlets come back if their streams break without a word. */
  readonly reconnectWindowMs: () => number;
  /** Aborted when the controller begins to stop: from then on no stream is taken. */
  readonly stopping: AbortSignal;
  /** What has to be stored and answered before the controller ends. */
  readonly inFlight: InFlight;
  readonly admission: StreamAdmission;
  readonly now: () => number;
}

/** Messages that wait for a peer that does not read; at the limit its stream is ended (RESOURCE_EXHAUSTED). */
const OUTBOX_LIMIT = 2_000;
/** A peer that opens a stream and says nothing is let go after this. */
const CONNECT_TIMEOUT_MS = 30_000;

type Service = ServiceImplementation<typeof commandServiceDefinition>;

export function createCommandService(deps: CommandServiceDeps): Service {
  const { logger } = deps;
  return {
    async *streamCommands(incoming: AsyncIterable<MigletMessage>, context: CallContext) {
      const messages = incoming[Symbol.asyncIterator]();
      const request = await firstMessage(messages, deps.stopping);
      const admitted = await deps.admission.admit(request, context); // I10
      const outbox = createOutbox<ControllerMessage>(OUTBOX_LIMIT);
      // Once, as soon as the end is decided: a peer that does not read keeps its call open until it reads again.
      const leave = (): void => {
        if (!deps.links.close(link)) return;
        deps.queue.requeueSent(link.vmId);
        deps.fleet.disconnect(link.vmId);
        deps.feed.publish({ kind: 'link', vmId: link.vmId, connected: false });
      };
      const link = createLink(request, outbox, deps, leave);
      const log = logger.child({ vmId: request.vmId, session: link.sessionId });
      context.signal.addEventListener('abort', () => outbox.close(), { once: true });

      const { known } = deps.fleet.connect(request);
      deps.links.open(link); // I11
      deps.feed.publish({ kind: 'link', vmId: link.vmId, connected: true });
      log.info(
        { event: 'connected', version: request.version, bootId: request.bootId, legacy: link.legacy },
        'a VM connected',
      );
      link.send({
        kind: 'connectAck',
        ack: {
          accepted: true,
          message: 'welcome',
          serverVersion: deps.version,
          sessionId: link.sessionId,
          lastEventSequence: link.legacy ? 0 : deps.events.lastSequence(request.vmId, request.bootId),
          heartbeatIntervalMs: deps.heartbeatIntervalMs(),
          announceAgain: !known && !link.legacy,
          reconnectWindowMs: deps.reconnectWindowMs(),
        },
      });
      const endSession = deps.admission.keepSession(link, admitted);
      startDelivery(deps, link, log);
      const reading = read(messages, request, link, deps, log).then(
        () => outbox.close(),
        (error: unknown) => outbox.close(toServerError(error)),
      );
      try {
        yield* outbox;
      } finally {
        outbox.close();
        endSession();
        leave();
        log.info({ event: 'disconnected' }, 'the stream of a VM ended');
        void messages.return?.();
        void reading;
      }
    },
  };
}

/** register_runner first, then what is queued, in its order. */
function startDelivery(deps: CommandServiceDeps, link: VmLink, log: Logger): void {
  deps.autoRegistration
    .onConnect(link.vmId)
    .catch((error: unknown) =>
      log.error({ reason: errorMessage(error) }, 'a registration could not be queued'),
    )
    .finally(() => {
      if (deps.links.get(link.vmId) === link) deps.delivery.attach(link.vmId);
    });
}

/** @throws ServerError if it does not come in time, is no `connect`, or comes when the controller is stopping */
async function firstMessage(
  messages: AsyncIterator<MigletMessage>,
  stopping: AbortSignal,
): Promise<ConnectRequest> {
  let timer: NodeJS.Timeout | undefined;
  let refuse = (): void => {};
  const stopped = new Promise<never>((_, reject) => {
    refuse = () => reject(new ServerError(Status.UNAVAILABLE, STOPPING_MESSAGE));
    if (stopping.aborted) refuse();
    stopping.addEventListener('abort', refuse, { once: true });
  });
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new ServerError(
            Status.DEADLINE_EXCEEDED,
            `no connect message within ${CONNECT_TIMEOUT_MS / 1000} s`,
          ),
        ),
      CONNECT_TIMEOUT_MS,
    ).unref();
  });
  const first = await Promise.race([stopped, messages.next(), timeout]).finally(() => {
    clearTimeout(timer);
    stopping.removeEventListener('abort', refuse);
  });
  if (first.done === true)
    throw new ServerError(Status.FAILED_PRECONDITION, 'the stream ended before its connect message');
  const message = first.value;
  if (message.kind === 'malformed') throw malformed(message.reason);
  if (message.kind !== 'connect') {
    throw new ServerError(
      Status.FAILED_PRECONDITION,
      `the first message must be connect, not ${message.kind}`,
    );
  }
  checkIdentity(message.request);
  if (message.request.bootId !== '') checkId('boot_id', message.request.bootId);
  return message.request;
}

function createLink(
  request: ConnectRequest,
  outbox: Outbox<ControllerMessage>,
  deps: CommandServiceDeps,
  leave: () => void,
): VmLink {
  const link: VmLink = {
    vmId: request.vmId,
    bootId: request.bootId,
    sessionId: newId('session', deps.now()),
    legacy: request.bootId === '',
    openedAt: deps.now(),
    send(message) {
      if (outbox.push(message)) return true;
      link.close({
        kind: 'slowReader',
        message: `VM ${request.vmId} does not read: ${OUTBOX_LIMIT} messages wait`,
      });
      return false;
    },
    close(reason) {
      outbox.close(closeError(reason), reason.kind === 'stopping' ? 'flush' : undefined);
      leave();
    },
  };
  return link;
}

function closeError(reason: CloseReason): ServerError {
  switch (reason.kind) {
    case 'replaced':
      return new ServerError(Status.ABORTED, reason.message);
    case 'slowReader':
      return new ServerError(Status.RESOURCE_EXHAUSTED, reason.message);
    case 'released':
      return new ServerError(Status.PERMISSION_DENIED, reason.message);
    case 'silent':
      return new ServerError(Status.DEADLINE_EXCEEDED, reason.message);
    case 'stopping':
      return new ServerError(Status.UNAVAILABLE, reason.message);
  }
}

async function read(
  messages: AsyncIterator<MigletMessage>,
  request: ConnectRequest,
  link: VmLink,
  deps: CommandServiceDeps,
  log: Logger,
): Promise<void> {
  for (;;) {
    const next = await messages.next();
    if (next.done === true) return;
    // A stream that was ended here may still have something to say; of the VM's liveness it says nothing (I7, I11).
    if (deps.links.get(link.vmId) === link) deps.fleet.heard(link.vmId);
    const pause = deps.admission.count(link.vmId, next.value); // I12
    if (pause !== undefined) await pause;
    handle(next.value, request, link, deps, log);
  }
}

function handle(
  message: MigletMessage,
  request: ConnectRequest,
  link: VmLink,
  deps: CommandServiceDeps,
  log: Logger,
): void {
  switch (message.kind) {
    case 'heartbeat':
      checkSpeaker(message.heartbeat, request);
      if (deps.links.get(link.vmId) !== link) return;
      deps.fleet.heartbeat({ ...message.heartbeat, ...identityOf(request), bootId: request.bootId });
      return;
    case 'event': {
      checkSpeaker(message.event, request);
      if (!isValidEventType(message.event.type)) {
        throw new ServerError(
          Status.INVALID_ARGUMENT,
          `event type ${JSON.stringify(printable(message.event.type))} is not valid`,
        );
      }
      if (message.event.sequence < 0) {
        throw new ServerError(
          Status.INVALID_ARGUMENT,
          `event sequence ${message.event.sequence} is not valid: the events of a boot are counted from 1`,
        );
      }
      const size = dataSize(message.event.data);
      if (size > MAX_EVENT_DATA) {
        throw new ServerError(
          Status.RESOURCE_EXHAUSTED,
          `an event with ${size} characters of data: ${MAX_EVENT_DATA} are allowed`,
        );
      }
      const event = { ...message.event, ...identityOf(request), bootId: request.bootId };
      void deps.inFlight.track(deps.events.record(event, 'grpc')).then((outcome) => {
        if (outcome.kind === 'stored' && event.sequence > 0) {
          link.send({ kind: 'eventAck', bootId: event.bootId, sequence: event.sequence }); // I4
        }
      });
      return;
    }
    case 'ack': {
      const { ack } = message;
      checkId('command_id', ack.commandId);
      log.debug(
        { commandId: ack.commandId, phase: ack.phase, success: ack.success },
        'a command was acknowledged',
      );
      deps.inFlight.track(deps.queue.acknowledge(link.vmId, ack)).then(
        ({ resultStored }) => {
          if (resultStored && !link.legacy) link.send({ kind: 'resultAck', commandId: ack.commandId }); // I2
        },
        (error: unknown) =>
          log.error(
            { commandId: ack.commandId, reason: errorMessage(error) },
            'an acknowledgement was not recorded',
          ),
      );
      return;
    }
    case 'deregister':
      void deps.deregistration.remove(link.vmId, message.runnerName).then((result) => {
        link.send({ kind: 'deregisterResult', result: { requestId: message.requestId, ...result } });
      });
      return;
    case 'error':
      log.warn(
        { code: printable(message.error.code), reason: printable(message.error.message) },
        'the VM reports an error',
      );
      return;
    case 'connect':
      throw new ServerError(Status.FAILED_PRECONDITION, 'connect may come only once, as the first message');
    case 'malformed':
      throw malformed(message.reason);
    case 'unknown':
      log.debug('a message of a kind that this version does not know was ignored');
  }
}

const identityOf = (request: ConnectRequest): VmIdentity => ({
  vmId: request.vmId,
  poolId: request.poolId,
  orgId: request.orgId,
});

/** A VM speaks only for itself (I10). A message that names no VM is the stream's own. */
function checkSpeaker(identity: VmIdentity, request: ConnectRequest): void {
  if (identity.vmId !== '' && identity.vmId !== request.vmId) {
    throw new ServerError(
      Status.PERMISSION_DENIED,
      `this is the stream of VM ${request.vmId}; it cannot speak for ${JSON.stringify(printable(identity.vmId))}`,
    );
  }
}

function checkIdentity(identity: VmIdentity): void {
  checkId('vm_id', identity.vmId);
  checkId('pool_id', identity.poolId);
  if (identity.orgId !== '') checkId('org_id', identity.orgId);
}

function checkId(field: string, value: string): void {
  try {
    assertId(field, value);
  } catch (error) {
    if (error instanceof InvalidIdError) throw new ServerError(Status.INVALID_ARGUMENT, error.message);
    throw error;
  }
}

const malformed = (reason: string): ServerError =>
  new ServerError(Status.INVALID_ARGUMENT, `a message could not be decoded: ${reason}`);

/** The peer went away, or broke the contract; anything else is ours. */
function toServerError(error: unknown): Error {
  return error instanceof Error ? error : new ServerError(Status.INTERNAL, errorMessage(error));
}
