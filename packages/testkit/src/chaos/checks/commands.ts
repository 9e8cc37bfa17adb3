/** What was promised of commands (I1, I2, I3). */
import type { CommandResource } from '@mig/common/api/command-resource';
import { isFinal } from '@mig/common/domain/command-state';
import { violations, type Evidence, type Violation } from '../evidence.js';

/** Said by a record that was closed before the VM's word came: then the VM may have carried it out. */
const KNOWN_TO_BE_OPEN =
  /the VM had already taken it|whether it took effect is not known|no result came from the VM by the execution deadline/;

const name = ({ type, id, vm_id: vmId, state }: CommandResource): string =>
  `${type} ${id} of ${vmId} (${state})`;

type CommandEvidence = Pick<
  Evidence,
  'toldCommands' | 'commands' | 'histories' | 'simulatedTaken' | 'sightings'
>;

export function checkCommands(evidence: CommandEvidence): Violation[] {
  const { toldCommands, commands, histories, simulatedTaken, sightings } = evidence;
  const records = new Map(commands.map((command) => [command.id, command]));
  const taken = new Map<string, readonly string[]>([
    ...histories.map((history) => [history.vmId, history.taken] as const),
    ...simulatedTaken,
  ]);
  const accepted = toldCommands.flatMap((told) => told.accepted.slice(0, 1).map(({ id }) => ({ told, id })));

  const lost = accepted
    .filter(({ id }) => !records.has(id))
    .map(({ told, id }) => `${told.type} ${id} of ${told.vmId} was answered 202, and is not there any more`);
  const unfinished = commands
    .filter(({ state }) => !isFinal(state))
    .map((command) => `${name(command)} has come to no end: ${command.message ?? 'without a word'}`);
  const twoIds = toldCommands
    .filter((told) => new Set(told.accepted.map(({ id }) => id)).size > 1)
    .map((told) => `${told.key} is ${told.accepted.map(({ id }) => id).join(' and ')}`);
  const uncancelled = accepted
    .filter(({ told, id }) => told.cancelled && records.get(id)?.state !== 'cancelled')
    .map(({ told, id }) => `${told.type} ${id} of ${told.vmId} is ${records.get(id)?.state ?? 'unknown'}`);

  return [
    ...violations('an accepted command is never lost', lost),
    ...violations('an accepted command comes to an end', unfinished),
    ...violations('one Idempotency-Key is one command', twoIds),
    ...violations('what was cancelled stays cancelled', uncancelled),
    ...violations('a command moves along its table', sightings.illegalCommands),
    ...checkEffects(commands, taken),
    ...checkOrder(commands, taken, records),
  ];
}

function checkEffects(
  commands: readonly CommandResource[],
  taken: ReadonlyMap<string, readonly string[]>,
): Violation[] {
  const counts = new Map<string, number>();
  for (const ids of taken.values()) for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  const twice: string[] = [];
  const never: string[] = [];
  const unwanted: string[] = [];
  for (const command of commands) {
    if (!taken.has(command.vm_id)) continue;
    const count = counts.get(command.id) ?? 0;
    if (count > 1) twice.push(`${name(command)} was taken ${count} times`);
    if (command.state === 'completed' && count === 0) never.push(`${name(command)} was never taken`);
    const isClosed = ['expired', 'cancelled', 'superseded'].includes(command.state);
    if (isClosed && count > 0 && !KNOWN_TO_BE_OPEN.test(command.message ?? ''))
      unwanted.push(`${name(command)} was carried out; its record says "${command.message ?? ''}"`);
  }
  return [
    ...violations('a command takes effect at most once', twice),
    ...violations('a completed command took effect', never),
    ...violations('a command that expired, was cancelled or superseded takes no effect', unwanted),
  ];
}

function checkOrder(
  commands: readonly CommandResource[],
  taken: ReadonlyMap<string, readonly string[]>,
  records: ReadonlyMap<string, CommandResource>,
): Violation[] {
  const place = new Map(commands.map(({ id }, index) => [id, index]));
  const faults: string[] = [];
  const strangers: string[] = [];
  for (const [vmId, ids] of taken) {
    let last: CommandResource | undefined;
    for (const id of new Set(ids)) {
      const command = records.get(id);
      if (command === undefined) {
        strangers.push(`${vmId} took ${id}, which the controller does not know`);
        continue;
      }
      // The registration that the controller sends by itself goes first.
      if (command.type === 'register_runner') continue;
      if (last !== undefined && (place.get(last.id) ?? 0) > (place.get(id) ?? 0))
        faults.push(`${vmId} took ${name(command)} after ${name(last)}, which was submitted later`);
      last = command;
    }
  }
  return [
    ...violations('commands of a VM take effect in the order of their submission', faults),
    ...violations('a VM takes only what the controller stored', strangers),
  ];
}
