/** `describe vm NAME...`: everything about a VM. As data it has `open_commands` and `recent_events` beside what `get vm` has. */
import type { CommandResource } from '@mig/common/api/command-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import type { HealthResource, JobResource, RunnerResource, VmResource } from '@mig/common/api/vm-resource';
import { isFinal } from '@mig/common/domain/command-state';
import { EXIT, type ExitCode } from '../errors.js';
import { assertVmNames } from '../operate/targets.js';
import { printPages, type Page, type PageFormat } from '../output/format.js';
import { renderTable } from '../output/table.js';
import { safe } from '../output/text.js';
import { ageOf, timeAndAge } from '../output/time.js';
import type { Session } from '../session.js';
import { commandColumns } from './command-columns.js';
import { eligibleText } from './vm-columns.js';
import { eventColumns } from './get-events.js';

const RECENT_EVENTS = 10;

export async function describeVms(
  session: Session,
  names: readonly string[],
  output: PageFormat,
): Promise<ExitCode> {
  assertVmNames(names);
  const { client, io } = session;
  const pages: Page[] = [];
  for (const name of names) {
    // The VM first: its 404 says more than those of its parts.
    const vm = await client.getVm(name);
    const [events, commands] = await Promise.all([
      client.listEvents(name, { limit: RECENT_EVENTS }),
      client.listCommands({ vmId: name }),
    ]);
    const open = commands.filter(({ state }) => !isFinal(state));
    pages.push({
      text: page(session, vm, events, open),
      value: { ...vm, open_commands: open, recent_events: events },
    });
  }
  await printPages(io.stdout, pages, { output, listName: 'vms' });
  return EXIT.done;
}

function page(
  session: Session,
  vm: VmResource,
  events: readonly EventResource[],
  open: readonly CommandResource[],
): string {
  const nowMs = session.io.clock.now();
  return [
    facts(session, vm, nowMs),
    section(
      session,
      'Open commands',
      renderTable(commandColumns(session).filter(isNotVm), open),
      open.length,
    ),
    section(
      session,
      'Recent events',
      renderTable(eventColumns(nowMs).filter(isNotVm), events),
      events.length,
    ),
  ].join('');
}

/** The page is about one VM. */
const isNotVm = ({ title }: { readonly title: string }): boolean => title !== 'VM';

function facts({ colours }: Session, vm: VmResource, nowMs: number): string {
  const reason = vm.state_reason === undefined ? '' : ` (${safe(vm.state_reason)})`;
  const heartbeat =
    vm.last_heartbeat_at === null
      ? 'no heartbeat yet'
      : `last heartbeat ${ageOf(vm.last_heartbeat_at, nowMs)} ago`;
  const lines: readonly (readonly [string, string])[] = [
    ['Name', colours.bold(safe(vm.vm_id))],
    ['Pool', safe(vm.pool_id) || '-'],
    ['Organization', safe(vm.org_id) || '-'],
    ['State', `${colours.vmState(vm.state)(safe(vm.state))}${reason}`],
    ...(vm.outcome === undefined ? [] : [['Outcome', safe(vm.outcome)] as const]),
    ['Eligible', eligibleText(vm) || 'no, it has shut down'],
    ...(vm.cordon === undefined ? [] : [['Cordon', cordonText(vm.cordon, nowMs)] as const]),
    ...(vm.drain_id === undefined
      ? []
      : [['Drain', `${safe(vm.drain_id)} (migctl describe drain ${safe(vm.drain_id)})`] as const]),
    ['Link', colours.link(vm.link)(vm.link)],
    ['Liveness', `${colours.liveness(vm.liveness)(vm.liveness)}, ${heartbeat}`],
    ['Job', vm.current_job === null ? 'none' : jobText(vm.current_job, nowMs)],
    ['Runner', vm.runner === null ? 'none' : runnerText(vm.runner)],
    ['Health', vm.health === null ? 'not known' : healthText(vm.health)],
    [
      'Labels',
      vm.labels.length === 0 ? 'none' : `${vm.labels.map(safe).join(', ')} (added at the next registration)`,
    ],
    ['MIGlet', safe(vm.version) || '-'],
    ['Boot', safe(vm.boot_id) || '-'],
    ['First seen', timeAndAge(vm.first_seen_at, nowMs)],
    ['Last seen', timeAndAge(vm.last_seen_at, nowMs)],
  ];
  return lines.map(([name, text]) => `${`${name}:`.padEnd(15)}${text}\n`).join('');
}

function section({ colours }: Session, title: string, table: string, rowCount: number): string {
  if (rowCount === 0) return `${colours.bold(`${title}:`)} none\n`;
  return `${colours.bold(`${title}:`)}\n${table.replace(/^/gm, '  ').trimEnd()}\n`;
}

const cordonText = ({ reason, by, at }: NonNullable<VmResource['cordon']>, nowMs: number): string =>
  `${reason === '' ? 'no reason given' : safe(reason)}, by ${safe(by)}, ${timeAndAge(at, nowMs)}`;

function jobText(job: JobResource, nowMs: number): string {
  const where = [job.repository, job.branch, job.commit.slice(0, 7)]
    .filter((part) => part !== '')
    .map(safe)
    .join(', ');
  const since = `${job.status === 'running' ? 'runs for' : `${job.status}, began`} ${ageOf(job.started_at, nowMs)}`;
  return `${safe(job.name)}${where === '' ? '' : ` (${where})`}, ${since}${job.status === 'running' ? '' : ' ago'}`;
}

function runnerText(runner: RunnerResource): string {
  const labels = runner.labels.length === 0 ? '' : `, labels ${runner.labels.map(safe).join(', ')}`;
  return `${safe(runner.runner_name) || '(no name)'}, ${runner.state}${runner.configured ? '' : ', not configured'}${labels}`;
}

function healthText(health: HealthResource): string {
  const share = (name: string, percent: number, used: number, total: number) =>
    `${name} ${Math.round(percent)}% (${gib(used)} of ${gib(total)} GiB)`;
  return [
    `CPU ${Math.round(health.cpu_usage_percent)}%`,
    share('memory', health.memory_usage_percent, health.memory_used_bytes, health.memory_total_bytes),
    share('disk', health.disk_usage_percent, health.disk_used_bytes, health.disk_total_bytes),
  ].join(', ');
}

const gib = (bytes: number): string => (bytes / 1024 ** 3).toFixed(1);
