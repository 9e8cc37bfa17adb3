import type { HeartbeatResource } from '@mig/common/api/history-resource';
import { mapConcurrently } from '../concurrency.js';
import { EXIT, type ExitCode } from '../errors.js';
import { assertVmNames } from '../operate/targets.js';
import { printListing, type FormatOptions } from '../output/format.js';
import type { Column } from '../output/table.js';
import { ageOf, formatTime } from '../output/time.js';
import type { Session } from '../session.js';

/** `get heartbeats VM...`: the newest `tail` of each, newest last. */
export async function getHeartbeats(
  session: Session,
  names: readonly string[],
  tail: number,
  options: FormatOptions,
): Promise<ExitCode> {
  assertVmNames(names);
  const { client, io } = session;
  const heartbeats = (
    await mapConcurrently([...new Set(names)], (name) => client.listHeartbeats(name, tail))
  ).flat();
  if (heartbeats.length === 0) io.stderr.write('No heartbeat has come yet.\n');
  const listing = {
    rows: heartbeats,
    value: { heartbeats },
    columns: columns(session),
    wideColumns: WIDE_COLUMNS,
    nameOf: ({ id }: HeartbeatResource) => id,
  };
  await printListing(io.stdout, listing, options);
  return EXIT.done;
}

const percent = (value: number | undefined): string => (value === undefined ? '' : `${value.toFixed(1)}%`);

function columns({ colours, io }: Session): Column<HeartbeatResource>[] {
  const nowMs = io.clock.now();
  return [
    { title: 'AGE', text: ({ received_at }) => ageOf(received_at, nowMs) },
    { title: 'VM', text: ({ vm_id }) => vm_id },
    {
      title: 'STATE',
      text: (beat) => beat.miglet_state,
      paint: (beat) => colours.vmState(beat.miglet_state),
    },
    { title: 'CPU', text: ({ health }) => percent(health?.cpu_usage_percent) },
    { title: 'MEMORY', text: ({ health }) => percent(health?.memory_usage_percent) },
    { title: 'DISK', text: ({ health }) => percent(health?.disk_usage_percent) },
    { title: 'RUNNER', text: (beat) => beat.runner_state?.state ?? '' },
    { title: 'JOB', text: (beat) => beat.current_job?.name ?? '' },
  ];
}

const WIDE_COLUMNS: readonly Column<HeartbeatResource>[] = [
  { title: 'RECEIVED', text: ({ received_at }) => formatTime(received_at) },
  { title: 'POOL', text: ({ pool_id }) => pool_id },
  { title: 'REASON', text: ({ state_reason }) => state_reason ?? '' },
];
