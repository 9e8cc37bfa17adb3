/** GitHub's side of the controller -> JSON. */
import type * as z from 'zod';
import type {
  DeedResource,
  FindingResource,
  GitHubResource,
  RunnerRowResource,
  installationSchema,
  webhooksSchema,
} from '@mig/common/api/github-resource';
import { toOptionalTime, toTime } from '@mig/common/api/time';
import { scopePath, type InstallationStatus } from '../github/client/github-client.js';
import type { ReconciliationStatus, Reconciler } from '../github/reconciliation/reconciler.js';
import type { Deed, ScopeSeen } from '../github/reconciliation/round.js';
import type { Sighting } from '../github/reconciliation/sightings.js';
import type { WebhooksStatus } from '../github/webhooks/create-webhooks.js';

/** Leaves out what is undefined: a key that is missing says so, one that is there has a value. */
function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

export const toInstallationResource = (status: InstallationStatus): z.infer<typeof installationSchema> =>
  defined({
    name: status.name,
    limit: status.limit,
    remaining: status.remaining,
    reset_at: toOptionalTime(status.resetAt),
    quiet_until: toOptionalTime(status.quietUntil),
    calls: Object.fromEntries(
      Object.entries(status.calls).map(([name, { made, putOff }]) => [name, { made, put_off: putOff }]),
    ) as z.infer<typeof installationSchema>['calls'],
    waiting: status.waiting.map(({ callClass, until }) => ({ class: callClass, until: toTime(until) })),
    problem: status.problem,
  });

export const toWebhooksResource = ({
  configured,
  received,
  jobs,
  redelivery,
  redeliveryOff,
}: WebhooksStatus): z.infer<typeof webhooksSchema> =>
  defined({
    configured,
    last_delivery_at: toOptionalTime(received.lastDeliveryAt),
    taken: received.taken,
    duplicates: received.duplicates,
    ignored: received.ignored,
    refused: { ...received.refused },
    problem: received.problem,
    jobs: { ...jobs },
    redelivery:
      redelivery === undefined
        ? null
        : defined({
            source: redelivery.source,
            read_until: toOptionalTime(redelivery.cursorAt),
            lost: redelivery.lost,
            last_round_at: toOptionalTime(redelivery.lastRoundAt),
            problem: redelivery.problem,
          }),
    redelivery_off: redeliveryOff,
  });

export function toReconciliationResource(
  status: ReconciliationStatus,
): NonNullable<GitHubResource['reconciliation']> {
  const { lastRound } = status;
  return defined({
    interval_ms: status.intervalMs,
    grace_ms: status.graceMs,
    last_round:
      lastRound === undefined
        ? undefined
        : {
            at: toTime(lastRound.at),
            duration_ms: Math.round(lastRound.durationMs),
            deleted: lastRound.deleted,
            replaced: lastRound.replaced,
            left: lastRound.left,
          },
    scopes: (lastRound?.scopes ?? []).map(toScopeResource),
    findings: status.open.map(toFindingResource),
    recent: status.deeds.map(toDeedResource),
    problem: status.problem,
  });
}

const toScopeResource = ({ scope, runners, listedAt, ours, problem }: ScopeSeen) =>
  defined({
    scope: scopePath(scope),
    listed_at: toOptionalTime(listedAt),
    runners: runners.length,
    ours,
    problem,
  });

const toFindingResource = ({ finding, since, count, note }: Sighting): FindingResource =>
  defined({
    kind: finding.kind,
    runner: finding.row.name,
    scope: scopePath(finding.row.scope),
    vm_id: finding.row.vm?.vmId,
    action: finding.action,
    reason: finding.reason,
    since: toTime(since),
    sightings: count,
    note,
  });

const toDeedResource = ({ at, finding, since, commandId }: Deed): DeedResource =>
  defined({
    at: toTime(at),
    kind: finding.kind,
    action: finding.action,
    runner: finding.row.name,
    scope: scopePath(finding.row.scope),
    vm_id: finding.row.vm?.vmId,
    reason: finding.reason,
    since: toTime(since),
    command_id: commandId,
  });

export function toRunnerRowResource({
  row,
  listedAt,
  sighting,
}: ReturnType<Reconciler['rows']>[number]): RunnerRowResource {
  const { github, vm } = row;
  return defined({
    name: row.name,
    scope: scopePath(row.scope),
    ours: row.ours,
    listed_at: toOptionalTime(listedAt),
    github:
      github === undefined
        ? null
        : {
            id: github.id,
            status: github.online ? ('online' as const) : ('offline' as const),
            busy: github.busy,
            labels: github.labels.map(({ name }) => name),
          },
    vm:
      vm === undefined
        ? null
        : defined({
            vm_id: vm.vmId,
            boot_id: vm.bootId,
            state: vm.state,
            link: vm.link,
            liveness: vm.liveness,
            runner_name: vm.runner,
            job: vm.job?.name,
            registering: vm.registering,
          }),
    finding: sighting === undefined ? null : toFindingResource(sighting),
  });
}
