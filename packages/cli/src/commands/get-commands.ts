import type { CommandResource } from '@mig/common/api/command-resource';
import { isValidId } from '@mig/common/domain/ids';
import type { CommandState } from '@mig/common/domain/command-state';
import { mapConcurrently } from '../concurrency.js';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { assertVmNames } from '../operate/targets.js';
import { printListing, type FormatOptions } from '../output/format.js';
import type { Session } from '../session.js';
import { commandListing } from './command-columns.js';

export interface CommandsFilter {
  readonly vm?: string | undefined;
  readonly pool?: string | undefined;
  readonly state?: CommandState | undefined;
}

/** `get commands [ID...]`: what was asked of VMs, oldest first, and what became of it. */
export async function getCommands(
  session: Session,
  ids: readonly string[],
  filter: CommandsFilter,
  options: FormatOptions,
): Promise<ExitCode> {
  assertCommandIds(ids);
  if (filter.vm !== undefined) assertVmNames([filter.vm]);
  const filtered = Object.values(filter).some((value) => value !== undefined);
  if (ids.length > 0 && filtered) {
    throw new UsageError(
      'command ids and the filters --vm, --pool and --state exclude each other',
      'give ids, or filters',
    );
  }
  const { client, io } = session;
  const commands =
    ids.length === 0
      ? await listed(session, filter)
      : await mapConcurrently(ids, (id) => client.getCommand(id));
  if (commands.length === 0)
    io.stderr.write(filtered ? 'No command matches.\n' : 'No command was given yet.\n');
  await printListing(io.stdout, commandListing(session, commands, ids.length === 1), options);
  return EXIT.done;
}

/** @throws UsageError */
export function assertCommandIds(ids: readonly string[]): void {
  const wrong = ids.find((id) => !isValidId(id));
  if (wrong === undefined) return;
  throw new UsageError(`${JSON.stringify(wrong)} cannot be the id of a command`, 'see `migctl get commands`');
}

async function listed({ client }: Session, { vm, pool, state }: CommandsFilter): Promise<CommandResource[]> {
  // The list of a VM that does not exist is empty; a name that is misspelt is to be heard of.
  if (vm !== undefined) await client.getVm(vm);
  const commands = await client.listCommands({ vmId: vm, state });
  if (pool === undefined) return commands;
  const inPool = new Set((await client.listVms({ pool })).map(({ vm_id }) => vm_id));
  return commands.filter(({ vm_id }) => inPool.has(vm_id));
}
