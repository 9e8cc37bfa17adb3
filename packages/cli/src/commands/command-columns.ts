import type { CommandResource } from '@mig/common/api/command-resource';
import type { Listing } from '../output/format.js';
import type { Column } from '../output/table.js';
import { keyValues, shorten } from '../output/text.js';
import { ageOf, formatAge } from '../output/time.js';
import type { Session } from '../session.js';

const MESSAGE_LENGTH = 80;

/** @param single show one command as an object, not as a list of one */
export function commandListing(
  session: Session,
  commands: readonly CommandResource[],
  single: boolean,
): Listing<CommandResource> {
  return {
    rows: commands,
    value: single ? commands[0] : { commands },
    columns: commandColumns(session),
    wideColumns: [
      { title: 'CREATED-BY', text: (command) => command.created_by },
      { title: 'TOOK', text: tookText },
      { title: 'BOOT', text: ({ boot_id }) => boot_id ?? '' },
      { title: 'PARAMETERS', text: ({ parameters }) => keyValues(parameters) },
    ],
    nameOf: ({ id }) => id,
  };
}

export function commandColumns({ colours, io }: Session): Column<CommandResource>[] {
  const nowMs = io.clock.now();
  return [
    { title: 'ID', text: ({ id }) => id },
    { title: 'VM', text: ({ vm_id }) => vm_id },
    { title: 'TYPE', text: ({ type }) => type },
    { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => colours.commandState(state) },
    { title: 'SENT', text: ({ attempts }) => String(attempts) },
    { title: 'AGE', text: ({ created_at }) => ageOf(created_at, nowMs) },
    { title: 'MESSAGE', text: ({ message }) => shorten(message ?? '', MESSAGE_LENGTH) },
  ];
}

const tookText = ({ created_at, finished_at }: CommandResource): string =>
  finished_at === undefined ? '' : formatAge(Date.parse(finished_at) - Date.parse(created_at));
