import type { EventResource } from '@mig/common/api/history-resource';
import { EXIT, type ExitCode } from '../errors.js';
import { printListing, type FormatOptions } from '../output/format.js';
import type { Column } from '../output/table.js';
import { keyValues } from '../output/text.js';
import { ageOf, formatTime } from '../output/time.js';
import type { Session } from '../session.js';
import { recentEvents, type EventScope } from './event-source.js';
import { assertScope } from './events.js';

/** `get events [VM...]`: the newest `tail` events, newest last. */
export async function getEvents(
  session: Session,
  scope: EventScope,
  tail: number,
  options: FormatOptions,
): Promise<ExitCode> {
  assertScope(scope);
  const { events } = await recentEvents(session.client, scope, tail);
  if (events.length === 0) session.io.stderr.write('No event has come yet.\n');
  const listing = {
    rows: events,
    value: { events },
    columns: eventColumns(session.io.clock.now()),
    wideColumns: WIDE_COLUMNS,
    nameOf: ({ id }: EventResource) => id,
  };
  await printListing(session.io.stdout, listing, options);
  return EXIT.done;
}

export const eventColumns = (nowMs: number): Column<EventResource>[] => [
  { title: 'AGE', text: ({ timestamp }) => ageOf(timestamp, nowMs) },
  { title: 'VM', text: ({ vm_id }) => vm_id },
  { title: 'TYPE', text: ({ type }) => type },
  { title: 'DATA', text: ({ data }) => keyValues(data) },
];

const WIDE_COLUMNS: readonly Column<EventResource>[] = [
  { title: 'HAPPENED', text: ({ timestamp }) => formatTime(timestamp) },
  { title: 'RECEIVED', text: ({ received_at }) => formatTime(received_at) },
  { title: 'VIA', text: ({ via }) => via },
  { title: 'BOOT', text: ({ boot_id }) => boot_id },
  { title: 'SEQUENCE', text: ({ sequence }) => String(sequence) },
];
