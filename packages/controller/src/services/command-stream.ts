/**
 * One MIGlet's stream. It is silent until its `connect`, which is admitted or not; then it is the VM's link, until either side ends
 * it. A stream that was ended here may still bring events and acknowledgements: the MIGlet has not heard of the end yet.
 */
import { ServerError, Status } from 'nice-grpc';
import { errorMessage } from '@mig/common/errors';
import { newId } from '@mig/common/domain/ids';
import type { CommandAck } from '@mig/common/domain/command';
import type { ConnectRequest, ControllerMessage, MigletMessage } from '@mig/common/domain/messages';
import { encodeControllerMessage } from '@mig/common/wire/controller-message';
import { decodeMigletMessage } from '@mig/common/wire/miglet-message';
import type { Admitted } from '../auth/vm-gate.js';
import { TooMuchError, type MessageMeter } from '../auth/limits/limits.js';
import type { CloseReason, VmLink } from '../fleet/links.js';
import type { Call, CallListener } from '../grpc/call.js';
import { toFrame } from '../grpc/message-reader.js';
import { checkConnect } from './check-connect.js';
import type { CommandStreamShared } from './command-service.js';
import { retryAfter } from './retry-after.js';
import { RefusedError } from './refusal.js';
import { ImpersonationError, checkFields, checkSpeaker, takeMessage } from './take-message.js';

/** Messages that wait for a peer that does not read; at the limit its stream is ended (RESOURCE_EXHAUSTED). */
const OUTBOX_LIMIT = 2_000;

/**
 * `silent` until its connect, `admitting` until that is decided, `open` while it is the VM's link, `left` when it is no longer that,
 * `refused` when nothing that it says counts any more.
 */
type Phase = 'silent' | 'admitting' | 'open' | 'left' | 'refused';

export class CommandStream implements CallListener, VmLink {
  vmId = '';
  poolId = '';
  orgId = '';
  bootId = '';
  sessionId = '';
  legacy = false;
  openedAt = 0;
  readonly #call: Call;
  readonly #shared: CommandStreamShared;
  #phase: Phase = 'silent';
  #meter: MessageMeter | undefined;
  /** It is read on when this is over. */
  #pause: NodeJS.Timeout | undefined;
  /** By what it was admitted; for the audit log. */
  #via: Admitted['via'] = 'none';
  /** Said in this turn of the event loop, and not yet taken. */
  #received: CommandAck | undefined;
  /** What waits for the peer to read; undefined = nothing does. */
  #waiting: Buffer[] | undefined;
  /** How the call ends when that has gone out; undefined = it goes on. */
  #end: { readonly code: Status; readonly details: string } | undefined;

  constructor(call: Call, shared: CommandStreamShared) {
    this.#call = call;
    this.#shared = shared;
  }

  onMessage(bytes: Buffer, start: number, end: number): void {
    try {
      if (this.#phase === 'open' || this.#phase === 'left') this.#take(bytes, start, end);
      else if (this.#phase === 'silent') {
        checkFields(bytes, start, end);
        this.#connect(bytes.subarray(start, end));
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  onHalfClose(): void {
    if (this.#phase === 'silent')
      this.refuse(new ServerError(Status.FAILED_PRECONDITION, 'the stream ended before its connect message'));
    else this.#finish(Status.OK, '');
  }

  onCancel(): void {
    this.#shared.silent.delete(this);
    this.#waiting = undefined;
    clearTimeout(this.#pause);
    this.#leave();
    this.#phase = 'refused';
  }

  onDrain(): void {
    const frames = this.#waiting ?? [];
    this.#waiting = undefined;
    for (let index = 0; index < frames.length; index += 1) {
      const frame = frames[index];
      if (frame === undefined || this.#call.sendFrame(frame)) continue;
      this.#waiting = frames.slice(index + 1);
      return;
    }
    if (this.#end !== undefined) this.#call.end(this.#end.code, this.#end.details);
  }

  send(message: ControllerMessage): boolean {
    if (this.#end !== undefined || this.#call.ended) return false;
    const frame = toFrame(encodeControllerMessage(message));
    if (this.#waiting === undefined) {
      if (!this.#call.sendFrame(frame)) this.#waiting = [];
      return true;
    }
    if (this.#waiting.length < OUTBOX_LIMIT) {
      this.#waiting.push(frame);
      return true;
    }
    this.close({
      kind: 'slowReader',
      message: `VM ${this.vmId} does not read: ${OUTBOX_LIMIT} messages wait`,
    });
    return false;
  }

  close(reason: CloseReason): void {
    const error = new ServerError(CLOSE_STATUS[reason.kind], reason.message);
    if (reason.kind !== 'stopping') this.#waiting = undefined;
    if (this.#end === undefined) this.#shared.failures.failed(error, this.#where());
    this.#finish(error.code, error.details);
  }

  /** The peer has not said whose stream it is, or may not have it. */
  refuse(error: unknown): void {
    this.#shared.silent.delete(this);
    this.#fail(error);
  }

  #connect(bytes: Buffer): void {
    this.#shared.silent.delete(this);
    const request = checkConnect(decodeMigletMessage(bytes));
    this.#phase = 'admitting';
    this.#call.pause();
    const authorization = this.#call.header('authorization');
    const { peer } = this.#call.connection;
    this.#call.forgetHeaders();
    this.#shared.admission.admit(request, { authorization, peer }).then(
      (admitted) => this.#open(request, admitted),
      (error: unknown) => this.#fail(error),
    );
  }

  #open(request: ConnectRequest, admitted: Admitted): void {
    if (this.#phase !== 'admitting') return; // it went away meanwhile
    const shared = this.#shared;
    const { vmId, bootId, version } = request;
    this.vmId = vmId;
    this.poolId = request.poolId;
    this.orgId = request.orgId;
    this.bootId = bootId;
    this.legacy = bootId === '';
    this.openedAt = shared.now();
    this.sessionId = newId('session', this.openedAt);
    this.#via = admitted.via;
    this.#meter = shared.limits.meter(vmId);
    this.#phase = 'open';

    const { known } = shared.fleet.connect(request);
    shared.links.open(this); // I11
    shared.feed.publish({ kind: 'link', vmId, connected: true });
    shared.logger.info(
      { event: 'connected', vmId, session: this.sessionId, version, bootId, legacy: this.legacy },
      'a VM connected',
    );
    this.send({
      kind: 'connectAck',
      ack: {
        accepted: true,
        message: 'welcome',
        serverVersion: shared.version,
        sessionId: this.sessionId,
        lastEventSequence: this.legacy ? 0 : shared.events.lastSequence(vmId, bootId),
        heartbeatIntervalMs: shared.heartbeatIntervalMs(),
        announceAgain: !known && !this.legacy,
        reconnectWindowMs: shared.reconnectWindowMs(),
      },
    });
    shared.sessions.keep(this, admitted);
    this.#startDelivery();
    this.#call.resume();
  }

  /** register_runner first, then what is queued, in its order. */
  #startDelivery(): void {
    const { autoRegistration, delivery, links, logger } = this.#shared;
    autoRegistration
      .onConnect(this.vmId)
      .catch((error: unknown) =>
        logger.error(
          { vmId: this.vmId, session: this.sessionId, reason: errorMessage(error) },
          'a registration could not be queued',
        ),
      )
      .finally(() => {
        if (links.get(this.vmId) === this) delivery.attach(this.vmId);
      });
  }

  #take(bytes: Buffer, start: number, end: number): void {
    const { fleet, heartbeats } = this.#shared;
    // Of a VM's liveness a stream that was ended here says nothing (I7, I11).
    const isLink = this.#phase === 'open';
    this.#meter?.count(end - start); // I12
    checkFields(bytes, start, end);
    if (!heartbeats.read(bytes, start, end, this, fleet.lastReport(this.vmId))) {
      if (isLink) fleet.heard(this.vmId);
      const message = decodeMigletMessage(bytes.subarray(start, end));
      // The latest counts: there is no backlog of heartbeats, and who sends many is cut.
      if (message.kind === 'heartbeat') this.#meter?.heartbeat();
      else this.#wait(this.#meter?.pace() ?? 0);
      this.#takeDecoded(message, isLink);
      return;
    }
    this.#meter?.heartbeat();
    const { message } = heartbeats;
    checkSpeaker(message, this);
    if (!isLink) return;
    message.vmId = this.vmId;
    message.poolId = this.poolId;
    message.orgId = this.orgId;
    message.bootId = this.bootId;
    if (!fleet.heartbeat(message)) fleet.heard(this.vmId);
  }

  /** That a command was received says nothing more where its result comes right behind it: then that is all that is recorded. */
  #takeDecoded(message: MigletMessage, isLink: boolean): void {
    const isOutdone =
      message.kind === 'ack' &&
      message.ack.phase !== 'received' &&
      message.ack.commandId === this.#received?.commandId;
    if (isOutdone) this.#received = undefined;
    this.#takeReceived();
    if (message.kind !== 'ack' || message.ack.phase !== 'received') {
      takeMessage(message, this, isLink, this.#shared);
      return;
    }
    this.#received = message.ack;
    setImmediate(() => {
      try {
        this.#takeReceived();
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  #takeReceived(): void {
    const ack = this.#received;
    this.#received = undefined;
    if (ack !== undefined) takeMessage({ kind: 'ack', ack }, this, false, this.#shared);
  }

  /** Nothing more is read for so long: a backlog is taken at a pace that leaves room for the others. */
  #wait(ms: number): void {
    if (ms === 0) return;
    this.#call.pause();
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#call.resume(), ms);
  }

  /** Ends the call when what waits has gone out. Only the first end counts. */
  #finish(code: Status, details: string): void {
    if (this.#end === undefined) {
      this.#end = { code, details };
      if (this.#waiting === undefined) this.#call.end(code, details);
    }
    this.#leave();
  }

  #fail(error: unknown): void {
    if (error instanceof ImpersonationError) {
      const speaker = {
        kind: 'vm',
        vmId: this.vmId,
        poolId: this.poolId,
        bootId: this.bootId,
        via: this.#via,
      } as const;
      this.#shared.admission.impersonated(speaker, error.claimedVmId, this.#call.connection.peer);
    }
    const known =
      error instanceof TooMuchError
        ? new RefusedError(Status.RESOURCE_EXHAUSTED, error.message, retryAfter(error))
        : error;
    const told = this.#shared.failures.failed(known, this.#where());
    const { code, details } =
      told instanceof ServerError ? told : { code: Status.UNKNOWN, details: errorMessage(told) };
    this.#waiting = undefined;
    this.#end ??= { code, details };
    this.#call.end(code, details, known instanceof RefusedError ? known.trailer : undefined);
    this.#call.discard();
    clearTimeout(this.#pause);
    // What is still on its way is not read.
    if (error instanceof TooMuchError) this.#shared.door.refuse(this.#call.connection.peer);
    this.#leave();
    this.#phase = 'refused';
  }

  /** Once, as soon as the end is decided: a peer that does not read keeps its call open until it reads again. */
  #leave(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'left';
    const { sessions, links, queue, fleet, feed, logger } = this.#shared;
    const { vmId, sessionId: session } = this;
    sessions.end(this);
    logger.info({ event: 'disconnected', vmId, session }, 'the stream of a VM ended');
    if (!links.close(this)) return;
    queue.requeueSent(vmId);
    fleet.disconnect(vmId);
    feed.publish({ kind: 'link', vmId, connected: false });
  }

  #where(): { readonly method: string; readonly peer: string } {
    return { method: this.#call.path, peer: this.#call.connection.peer };
  }
}

const CLOSE_STATUS: Readonly<Record<CloseReason['kind'], Status>> = {
  replaced: Status.ABORTED,
  slowReader: Status.RESOURCE_EXHAUSTED,
  released: Status.PERMISSION_DENIED,
  silent: Status.DEADLINE_EXCEEDED,
  stopping: Status.UNAVAILABLE,
};
