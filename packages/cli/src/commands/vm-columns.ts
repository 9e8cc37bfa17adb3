import type { VmResource } from '@mig/common/api/vm-resource';
import { phaseOf } from '@mig/common/domain/vm-state';
import type { Listing } from '../output/format.js';
import type { Column } from '../output/table.js';
import { ageOf } from '../output/time.js';
import type { Session } from '../session.js';

/** @param single show one VM as an object, not as a list of one */
export const vmListing = (
  session: Session,
  vms: readonly VmResource[],
  single: boolean,
): Listing<VmResource> => ({
  rows: vms,
  value: single ? vms[0] : { vms },
  columns: vmColumns(session),
  wideColumns: WIDE_COLUMNS,
  nameOf: ({ vm_id }) => vm_id,
});

/**
 * May the VM take new jobs, and if not, why: `yes`, `no (cordoned)`, `no (draining)`. Nothing for a VM that has ended, unless a
 * cordon waits for its next life.
 */
export function eligibleText(vm: VmResource): string {
  const phase = phaseOf(vm.state);
  if (phase === 'shutdown' && vm.cordon === undefined) return '';
  if (vm.eligible) return 'yes';
  const reasons = [
    ...(vm.cordon === undefined ? [] : ['cordoned']),
    ...(phase === 'draining' || vm.drain_id !== undefined ? ['draining'] : []),
  ];
  return reasons.length === 0 ? 'no' : `no (${reasons.join(', ')})`;
}

function vmColumns({ colours, io }: Session): Column<VmResource>[] {
  const nowMs = io.clock.now();
  return [
    { title: 'NAME', text: (vm) => vm.vm_id },
    { title: 'POOL', text: (vm) => vm.pool_id },
    { title: 'STATE', text: (vm) => vm.state, paint: (vm) => colours.vmState(vm.state) },
    { title: 'LINK', text: (vm) => vm.link, paint: (vm) => colours.link(vm.link) },
    { title: 'LIVENESS', text: (vm) => vm.liveness, paint: (vm) => colours.liveness(vm.liveness) },
    {
      title: 'ELIGIBLE',
      text: eligibleText,
      paint: (vm) => (vm.eligible ? (text) => text : colours.yellow),
    },
    { title: 'HEARTBEAT', text: (vm) => ageOf(vm.last_heartbeat_at, nowMs) },
    { title: 'AGE', text: (vm) => ageOf(vm.first_seen_at, nowMs) },
    { title: 'OUTCOME', text: (vm) => vm.outcome ?? '' },
    { title: 'JOB', text: jobText },
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
  { title: 'DRAIN', text: (vm) => vm.drain_id ?? '' },
  { title: 'REASON', text: (vm) => vm.state_reason ?? '' },
];

/** The job that runs, or that ran when the VM was lost. */
function jobText({ current_job: job }: VmResource): string {
  if (job?.status === 'running') return job.name;
  return job?.status === 'unknown' ? `${job.name} (fate unknown)` : '';
}
