import type { VmResource } from '@mig/common/api/vm-resource';
import type { VmFilter } from '../api/client.js';
import { mapConcurrently } from '../concurrency.js';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { assertVmNames } from '../operate/targets.js';
import { printListing, type FormatOptions } from '../output/format.js';
import type { Column } from '../output/table.js';
import { ageOf } from '../output/time.js';
import type { Session } from '../session.js';

/** `get vms [NAME...]`: all VMs that the filter lets through, or those that are named; one name gives one object. */
export async function getVms(
  session: Session,
  names: readonly string[],
  filter: VmFilter,
  options: FormatOptions,
): Promise<ExitCode> {
  assertVmNames(names);
  const filtered = Object.values(filter).some((value) => value !== undefined);
  if (names.length > 0 && filtered) {
    throw new UsageError(
      'VM names and the filters --pool, --state and --liveness exclude each other',
      'give names, or filters',
    );
  }
  const { client, io } = session;
  const vms =
    names.length === 0
      ? await client.listVms(filter)
      : await mapConcurrently(names, (name) => client.getVm(name));
  if (vms.length === 0) {
    io.stderr.write(
      filtered ? 'No VM matches; `migctl get vms` shows all.\n' : 'No VM is known to this controller yet.\n',
    );
  }
  const listing = {
    rows: vms,
    value: names.length === 1 ? vms[0] : { vms },
    columns: vmColumns(session),
    wideColumns: WIDE_COLUMNS,
    nameOf: ({ vm_id }: VmResource) => vm_id,
  };
  await printListing(io.stdout, listing, options);
  return EXIT.done;
}

function vmColumns({ colours, io }: Session): Column<VmResource>[] {
  const nowMs = io.clock.now();
  return [
    { title: 'NAME', text: (vm) => vm.vm_id },
    { title: 'POOL', text: (vm) => vm.pool_id },
    { title: 'STATE', text: (vm) => vm.state, paint: (vm) => colours.vmState(vm.state) },
    { title: 'LINK', text: (vm) => vm.link, paint: (vm) => colours.link(vm.link) },
    { title: 'LIVENESS', text: (vm) => vm.liveness, paint: (vm) => colours.liveness(vm.liveness) },
    { title: 'HEARTBEAT', text: (vm) => ageOf(vm.last_heartbeat_at, nowMs) },
    { title: 'AGE', text: (vm) => ageOf(vm.first_seen_at, nowMs) },
    { title: 'JOB', text: (vm) => (vm.current_job?.status === 'running' ? vm.current_job.name : '') },
  ];
}

const percent = (value: number | undefined): string => (value === undefined ? '' : `${Math.round(value)}%`);

const WIDE_COLUMNS: readonly Column<VmResource>[] = [
  { title: 'RUNNER', text: (vm) => vm.runner?.state ?? '' },
  { title: 'CPU', text: (vm) => percent(vm.health?.cpu_usage_percent) },
  { title: 'MEMORY', text: (vm) => percent(vm.health?.memory_usage_percent) },
  { title: 'DISK', text: (vm) => percent(vm.health?.disk_usage_percent) },
  { title: 'VERSION', text: (vm) => vm.version },
  { title: 'ORG', text: (vm) => vm.org_id },
  { title: 'BOOT', text: (vm) => vm.boot_id },
  { title: 'REASON', text: (vm) => vm.outcome ?? vm.state_reason ?? '' },
];
