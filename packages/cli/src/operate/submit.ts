/** Hands one command in for many VMs. */
import type { CommandResource, SubmitCommandBody } from '@mig/common/api/command-resource';
import type { Client } from '../api/client.js';
import { sendToEach, type Sent } from './each-vm.js';
import type { Operation } from './operation.js';

export type Submitted = Sent<CommandResource>;

/** Each VM has its own idempotency key, so a request that is repeated gives no second command. */
export function submitToAll(
  client: Client,
  vmIds: readonly string[],
  operation: Operation,
  deliveryDeadlineMs: number | undefined,
  newKey: () => string,
): Promise<Submitted> {
  const body: SubmitCommandBody = {
    type: operation.type,
    parameters: operation.parameters as SubmitCommandBody['parameters'],
    ...(deliveryDeadlineMs === undefined ? {} : { delivery_deadline_ms: deliveryDeadlineMs }),
  };
  return sendToEach(vmIds, (vmId) => client.submit(vmId, body, newKey()));
}
