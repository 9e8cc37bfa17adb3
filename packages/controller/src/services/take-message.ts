/** What the messages of a connected VM do. */
import { ServerError, Status } from 'nice-grpc';
import { errorMessage, printable } from '@mig/common/errors';
import { MAX_EVENT_DATA, dataSize, isValidEventType, type VmEvent } from '@mig/common/domain/event';
import type { CommandAck } from '@mig/common/domain/command';
import type { MigletMessage } from '@mig/common/domain/messages';
import type { VmIdentity } from '@mig/common/domain/vm';
import type { VmLink } from '../fleet/links.js';
import { checkId, malformed } from './check-connect.js';
import type { CommandServiceDeps } from './command-service.js';
import { hasMoreFields } from './field-count.js';

type Speaker = VmLink & VmIdentity;

/** A message of the contract has some dozens; one that has more is not decoded. */
const MAX_FIELDS = 10_000;
/** A smaller one has not so many: a field has at least two bytes. */
const LARGE_BYTES = 2 * MAX_FIELDS;

/** Before it is decoded. @throws ServerError if that would take more than its size says */
export function checkFields(bytes: Buffer, start: number, end: number): void {
  if (end - start > LARGE_BYTES && hasMoreFields(bytes.subarray(start, end), MAX_FIELDS))
    throw malformed(`it has more than ${MAX_FIELDS} fields`);
}

/**
 * @param isLink the stream is the VM's link: of the VM's state one that is not says nothing (I7, I11)
 * @throws ServerError if the message breaks the contract
 */
export function takeMessage(
  message: MigletMessage,
  link: Speaker,
  isLink: boolean,
  deps: CommandServiceDeps,
): void {
  const { logger } = deps;
  const who = { vmId: link.vmId, session: link.sessionId };
  switch (message.kind) {
    case 'heartbeat':
      checkSpeaker(message.heartbeat, link);
      if (isLink) deps.fleet.heartbeat({ ...message.heartbeat, ...identityOf(link) });
      return;
    case 'event':
      takeEvent(message.event, link, deps);
      return;
    case 'ack':
      takeAck(message.ack, link, deps);
      return;
    case 'deregister':
      void deps.deregistration.remove(link.vmId, message.runnerName).then((result) => {
        link.send({ kind: 'deregisterResult', result: { requestId: message.requestId, ...result } });
      });
      return;
    case 'error':
      logger.warn(
        { ...who, code: printable(message.error.code), reason: printable(message.error.message) },
        'the VM reports an error',
      );
      return;
    case 'connect':
      throw new ServerError(Status.FAILED_PRECONDITION, 'connect may come only once, as the first message');
    case 'malformed':
      throw malformed(message.reason);
    case 'unknown':
      logger.debug(who, 'a message of a kind that this version does not know was ignored');
  }
}

function takeEvent(event: VmEvent, link: Speaker, deps: CommandServiceDeps): void {
  checkSpeaker(event, link);
  if (!isValidEventType(event.type)) {
    throw new ServerError(
      Status.INVALID_ARGUMENT,
      `event type ${JSON.stringify(printable(event.type))} is not valid`,
    );
  }
  if (event.sequence < 0) {
    throw new ServerError(
      Status.INVALID_ARGUMENT,
      `event sequence ${event.sequence} is not valid: the events of a boot are counted from 1`,
    );
  }
  const size = dataSize(event.data);
  if (size > MAX_EVENT_DATA) {
    throw new ServerError(
      Status.RESOURCE_EXHAUSTED,
      `an event with ${size} characters of data: ${MAX_EVENT_DATA} are allowed`,
    );
  }
  const { sequence } = event;
  const { bootId } = link;
  void deps.inFlight.track(deps.events.record({ ...event, ...identityOf(link) }, 'grpc')).then((outcome) => {
    if (outcome.kind === 'stored' && sequence > 0) link.send({ kind: 'eventAck', bootId, sequence }); // I4
  });
}

function takeAck(ack: CommandAck, link: Speaker, { logger, inFlight, queue }: CommandServiceDeps): void {
  const { commandId, phase, success } = ack;
  checkId('command_id', commandId);
  const who = { vmId: link.vmId, session: link.sessionId, commandId };
  logger.debug({ ...who, phase, success }, 'a command was acknowledged');
  inFlight.track(queue.acknowledge(link.vmId, ack)).then(
    ({ resultStored }) => {
      if (resultStored && !link.legacy) link.send({ kind: 'resultAck', commandId }); // I2
    },
    (error: unknown) =>
      logger.error({ ...who, reason: errorMessage(error) }, 'an acknowledgement was not recorded'),
  );
}

const identityOf = ({ vmId, poolId, orgId, bootId }: Speaker) => ({ vmId, poolId, orgId, bootId });

/** A VM speaks only for itself (I10). A message that names no VM is the stream's own. @throws ImpersonationError */
export function checkSpeaker({ vmId }: { readonly vmId: string }, link: VmLink): void {
  if (vmId !== '' && vmId !== link.vmId) throw new ImpersonationError(link.vmId, vmId);
}

/** A VM spoke for another one. */
export class ImpersonationError extends ServerError {
  constructor(
    vmId: string,
    readonly claimedVmId: string,
  ) {
    super(
      Status.PERMISSION_DENIED,
      `this is the stream of VM ${vmId}; it cannot speak for ${JSON.stringify(printable(claimedVmId))}`,
    );
  }
}
