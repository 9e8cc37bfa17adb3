/** Sends one request for each of many VMs, and says what became of each. */
import { mapConcurrently } from '../concurrency.js';
import { CliError, InterruptedError, UnavailableError } from '../errors.js';
import type { Output } from '../output/output.js';
import { safe } from '../output/text.js';

export interface Refusal {
  readonly vmId: string;
  readonly error: CliError;
}

export interface Sent<Answer> {
  /** In the order of the VMs. */
  readonly answers: readonly Answer[];
  /** VMs that the controller refused. */
  readonly refused: readonly Refusal[];
  /** VMs that were not reached because of `stoppedBy`. Of those under way it is not known whether they got it. */
  readonly unsent: readonly string[];
  /** The controller was lost, or Ctrl-C came. */
  readonly stoppedBy: CliError | undefined;
}

/** One VM that is refused does not stop the others; a controller that cannot be reached stops all. */
export async function sendToEach<Answer>(
  vmIds: readonly string[],
  send: (vmId: string) => Promise<Answer>,
): Promise<Sent<Answer>> {
  const answers = new Map<string, Answer>();
  const refused = new Map<string, CliError>();
  let stoppedBy: CliError | undefined;
  const sendOne = async (vmId: string): Promise<void> => {
    try {
      answers.set(vmId, await send(vmId));
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
    await mapConcurrently(vmIds, sendOne);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    stoppedBy = error;
  }
  return {
    answers: vmIds.flatMap((vmId) => answers.get(vmId) ?? []),
    refused: vmIds.flatMap((vmId) => {
      const error = refused.get(vmId);
      return error === undefined ? [] : [{ vmId, error }];
    }),
    unsent: vmIds.filter((vmId) => !answers.has(vmId) && !refused.has(vmId)),
    stoppedBy,
  };
}

/** Names each VM that was refused, and each remedy once. */
export function reportRefused(stderr: Output, refused: readonly Refusal[]): void {
  for (const { vmId, error } of refused) {
    const message = safe(error.message);
    stderr.write(`error: ${message.includes(vmId) ? message : `${vmId}: ${message}`}\n`);
  }
  for (const hint of new Set(refused.flatMap(({ error }) => error.hint ?? [])))
    stderr.write(`hint: ${hint}\n`);
}
