import type { DrainResource, DrainVmResource } from '@mig/common/api/drain-resource';
import { formatDuration } from '@mig/common/config/duration';
import type { Listing } from '../output/format.js';
import type { Column } from '../output/table.js';
import { shorten } from '../output/text.js';
import { ageOf, formatAge } from '../output/time.js';
import type { Session } from '../session.js';
import { reasonText, targetText } from './drain-text.js';

const REASON_LENGTH = 60;

/** @param single show one drain as an object, not as a list of one */
export function drainListing(
  { colours, io }: Session,
  drains: readonly DrainResource[],
  single: boolean,
): Listing<DrainResource> {
  const nowMs = io.clock.now();
  return {
    rows: drains,
    value: single ? drains[0] : { drains },
    columns: [
      { title: 'ID', text: ({ id }) => id },
      { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => colours.drainState(state) },
      { title: 'DONE', text: ({ vms, counts }) => `${counts.done}/${vms.length}` },
      { title: 'FAILED', text: ({ counts }) => String(counts.failed + counts.gone) },
      { title: 'TARGET', text: (drain) => shorten(targetText(drain), REASON_LENGTH) },
      { title: 'DEADLINE', text: deadlineCell },
      { title: 'THEN', text: ({ then }) => then },
      { title: 'AGE', text: ({ created_at }) => ageOf(created_at, nowMs) },
      { title: 'REASON', text: ({ reason }) => shorten(reason, REASON_LENGTH) },
    ],
    wideColumns: [
      { title: 'WAITING', text: ({ counts }) => String(counts.waiting) },
      { title: 'DRAINING', text: ({ counts }) => String(counts.draining) },
      { title: 'SHUTTING-DOWN', text: ({ counts }) => String(counts.shuttingDown) },
      { title: 'CANCELLED', text: ({ counts }) => String(counts.cancelled) },
      { title: 'AT-A-TIME', text: ({ max_unavailable }) => String(max_unavailable ?? 'all') },
      { title: 'CREATED-BY', text: ({ created_by }) => created_by },
      { title: 'TOOK', text: ({ created_at, finished_at }) => tookText(created_at, finished_at) },
    ],
    nameOf: ({ id }) => id,
  };
}

/** The VMs of one drain. */
export function drainVmColumns({ colours, io }: Session, drain: DrainResource): Column<DrainVmResource>[] {
  const nowMs = io.clock.now();
  return [
    { title: 'VM', text: ({ vm_id }) => vm_id },
    { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => colours.drainVmState(state) },
    {
      title: 'SINCE',
      text: ({ started_at, finished_at }) => ageOf(finished_at ?? started_at ?? drain.created_at, nowMs),
    },
    { title: 'REASON', text: reasonText },
  ];
}

function deadlineCell({ deadline_ms, force }: DrainResource): string {
  if (force) return 'now';
  return deadline_ms === 0 ? 'none' : formatDuration(deadline_ms);
}

/** How long it took; empty while it goes on. */
export const tookText = (createdAt: string, finishedAt: string | undefined): string =>
  finishedAt === undefined ? '' : formatAge(Date.parse(finishedAt) - Date.parse(createdAt));
