import type { CommandResource } from '@mig/common/api/command-resource';
import { CliError, EXIT, InterruptedError, UnavailableError, type ExitCode } from '../errors.js';
import { printListing, type Format } from '../output/format.js';
import { safe } from '../output/text.js';
import type { Session } from '../session.js';
import { commandListing } from './command-columns.js';
import { assertCommandIds } from './get-commands.js';

/** `cancel command ID...`: ends what its VM has not yet taken. One that cannot be cancelled does not keep the others. */
export async function cancelCommands(
  session: Session,
  ids: readonly string[],
  output: Format,
): Promise<ExitCode> {
  assertCommandIds(ids);
  const { client, io } = session;
  const cancelled: CommandResource[] = [];
  const failures: CliError[] = [];
  for (const id of new Set(ids)) {
    try {
      cancelled.push(await client.cancelCommand(id));
    } catch (error) {
      if (
        !(error instanceof CliError) ||
        error instanceof InterruptedError ||
        error instanceof UnavailableError
      )
        throw error;
      failures.push(error);
    }
  }
  const [onlyFailure] = failures;
  if (ids.length === 1 && onlyFailure !== undefined) throw onlyFailure;
  if (output === 'table') {
    io.stdout.write(
      cancelled.map(({ id, type, vm_id }) => `${safe(id)}: cancelled (${type} of ${safe(vm_id)})\n`).join(''),
    );
  } else {
    await printListing(io.stdout, commandListing(session, cancelled, ids.length === 1), {
      output,
      headers: true,
    });
  }
  for (const { message } of failures) io.stderr.write(`error: ${safe(message)}\n`);
  return failures.length > 0 ? EXIT.failed : EXIT.done;
}
