/** Hands one command in for many VMs. */
import type { CommandResource, SubmitCommandBody } from '@mig/common/api/command-resource';
import type { Client } from '../api/client.js';
import { mapConcurrently } from '../concurrency.js';
import { CliError, InterruptedError, UnavailableError } from '../errors.js';
import type { Operation } from './operation.js';

export interface Submitted {
  /** In the order of the VMs. */
  readonly commands: readonly CommandResource[];
  /** VMs that the controller refused. */
  readonly refused: readonly { readonly vmId: string; readonly error: CliError }[];
  /** VMs that were not reached because of `stoppedBy`. Of those under way it is not known whether they got it. */
  readonly unsent: readonly string[];
  /** The controller was lost, or Ctrl-C came. */
  readonly stoppedBy: CliError | undefined;
}

/**
 * Each VM has its own idempotency key, so a request that is repeated gives no second command. One VM that is refused
 * does not stop the others; a controller that cannot be reached stops all.
 */
export async function submitToAll(
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
  const commands = new Map<string, CommandResource>();
  const refused = new Map<string, CliError>();
  let stoppedBy: CliError | undefined;
  const submitOne = async (vmId: string): Promise<void> => {
    try {
      commands.set(vmId, await client.submit(vmId, body, newKey()));
    } catch (error) {
      if (
        !(error instanceof CliError) ||
        error instanceof InterruptedError ||
        error instanceof UnavailableError
      )
        throw error;
      refused.set(vmId, error);
    }
  };
  try {
    await mapConcurrently(vmIds, submitOne);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    stoppedBy = error;
  }
  return {
    commands: vmIds.flatMap((vmId) => commands.get(vmId) ?? []),
    refused: vmIds.flatMap((vmId) => {
      const error = refused.get(vmId);
      return error === undefined ? [] : [{ vmId, error }];
    }),
    unsent: vmIds.filter((vmId) => !commands.has(vmId) && !refused.has(vmId)),
    stoppedBy,
  };
}
