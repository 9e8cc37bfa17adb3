/**
 * What does not fit together in a row, and what is to be done about it. Pure: when it is acted upon is decided by sightings.ts.
 *
 *   ghost             a runner of ours that no VM has any more                             -> delete it
 *   missing           its VM says that it waits for jobs, and GitHub has no such runner    -> have it replaced
 *   offline           its VM says that it waits for jobs, and GitHub does not hear it      -> have it replaced
 *   job_disagreement  GitHub and the VM disagree whether a job runs                        -> tell it (I5)
 *
 * Never touched: a runner that is not ours, one that GitHub says is busy, and one of a VM with a registration under way. A VM that
 * is only silent is no reason for anything: its job goes on.
 */
import type { FindingKind } from '@mig/common/api/github-resource';
import { phaseOf } from '@mig/common/domain/vm-state';
import type { Ownership } from '../runners/ownership.js';
import type { RunnerRow, VmWord } from './views.js';

export interface Finding {
  readonly kind: FindingKind;
  readonly row: RunnerRow;
  /** `none`: it is shown, and left alone; the reason says why. */
  readonly action: 'delete' | 'replace' | 'tell' | 'none';
  /** For a person. */
  readonly reason: string;
  /** It rests on what the VM says now: the VM has to say so again before anything is done. */
  readonly byWord: boolean;
  /** The facts that it rests on. When they change it is another finding, which is sighted anew. */
  readonly facts: string;
}

/** When the newest job of a runner ended, by what webhooks told; undefined = it runs, or nothing is known. Milliseconds since 1970. */
export type JobEnd = (runnerName: string) => number | undefined;

export interface FindingDeps {
  readonly ownership: Ownership;
  readonly jobEnd: JobEnd;
}

export const findings = (rows: readonly RunnerRow[], deps: FindingDeps): Finding[] =>
  rows.flatMap((row) => findingOf(row, deps) ?? []);

/** At most one for each row. */
export function findingOf(row: RunnerRow, deps: FindingDeps): Finding | undefined {
  // A list that failed says nothing of anybody.
  if (!row.listed) return undefined;
  return ghost(row, deps.ownership) ?? unheard(row) ?? disagreement(row, deps.jobEnd);
}

function ghost(row: RunnerRow, ownership: Ownership): Finding | undefined {
  if (row.github === undefined || !row.ours) return undefined;
  const why = whyGhost(row, ownership);
  if (why === undefined) return undefined;
  const { busy } = row.github;
  const reason = busy ? `${why.reason}; left alone: GitHub says that a job runs on it` : why.reason;
  return toFinding(row, {
    kind: 'ghost',
    action: busy ? 'none' : 'delete',
    reason,
    byWord: why.byWord,
    code: why.code,
  });
}

interface Why {
  readonly code: string;
  readonly reason: string;
  readonly byWord: boolean;
}

function whyGhost({ name, github, vm }: RunnerRow, ownership: Ownership): Why | undefined {
  if (vm === undefined) return { code: 'no-vm', reason: 'no VM of this name is known', byWord: false };
  if (vm.ended) return { code: 'ended', reason: `VM ${vm.vmId} has ended (${vm.state})`, byWord: false };
  if (vm.runner === name) return lost(vm, github?.online === true);
  if (!ownership.isOfBoot(vm, name)) {
    // What an earlier controller wrote down may be older than the runner, which then is that of a boot not yet heard of.
    if (!vm.heard && github?.online === true) return undefined;
    return { code: 'other-boot', reason: `VM ${vm.vmId} is in another boot now`, byWord: false };
  }
  if (vm.liveness === 'lost') return lost(vm, github?.online === true);
  // A VM that cannot be heard, or is about to have this very runner, is not judged.
  if (vm.registering || !isHeard(vm) || vm.runner === undefined) return undefined;
  return vm.runner === ''
    ? { code: 'none', reason: `VM ${vm.vmId} says that it has no runner`, byWord: true }
    : { code: 'other', reason: `VM ${vm.vmId} says that its runner is ${vm.runner}`, byWord: true };
}

/** A VM that is lost may be cut off from us alone; while GitHub hears its runner it lives. */
const lost = (vm: VmWord, online: boolean): Why | undefined =>
  vm.liveness === 'lost' && !online && !vm.registering
    ? {
        code: 'lost',
        reason: `VM ${vm.vmId} is lost, and GitHub does not hear its runner either`,
        byWord: false,
      }
    : undefined;

function unheard(row: RunnerRow): Finding | undefined {
  const { github, name, vm } = row;
  if (vm === undefined || vm.runner !== name || !waitsForJobs(vm) || !isHeard(vm)) return undefined;
  if (github?.online === true || github?.busy === true) return undefined;
  const kind = github === undefined ? 'missing' : 'offline';
  const seen = github === undefined ? 'GitHub has no such runner' : 'GitHub does not hear its runner';
  const but = whyNotReplaced(row, vm);
  return toFinding(row, {
    kind,
    action: but === undefined ? 'replace' : 'none',
    reason: `VM ${vm.vmId} says that it waits for jobs, and ${seen}${but === undefined ? '' : `; left alone: ${but}`}`,
    byWord: true,
    code: but ?? '',
  });
}

function whyNotReplaced({ github, ours }: RunnerRow, vm: VmWord): string | undefined {
  if (vm.bootId === '') return 'a legacy MIGlet cannot replace its runner';
  if (!vm.eligible) return 'the VM is cordoned, or drains';
  if (vm.link === 'disconnected') return 'the VM has no stream';
  if (github !== undefined && !ours) return 'the name of the runner is not one of this controller';
  return undefined;
}

function disagreement(row: RunnerRow, jobEnd: JobEnd): Finding | undefined {
  const { github, name, vm } = row;
  if (vm === undefined || vm.runner !== name || vm.ended || vm.registering || !isHeard(vm)) return undefined;
  const reason =
    vm.job === undefined
      ? waitsForJobs(vm) && github?.busy === true
        ? `GitHub says that a job runs, and VM ${vm.vmId} that it waits for one`
        : undefined
      : endedByGitHub(row, jobEnd, vm);
  if (reason === undefined) return undefined;
  return {
    kind: 'job_disagreement',
    row,
    action: 'tell',
    reason,
    byWord: true,
    // Of one job it is told once, in whatever way GitHub denies it.
    facts: `job_disagreement|${vm.bootId}|${vm.job?.jobId ?? ''}`,
  };
}

function endedByGitHub({ github, name }: RunnerRow, jobEnd: JobEnd, vm: VmWord): string | undefined {
  const seen =
    github === undefined
      ? 'GitHub has no such runner'
      : (jobEnd(name) ?? -Infinity) > (vm.job?.startedAt ?? 0)
        ? 'GitHub says that the job has ended'
        : !github.busy
          ? 'GitHub says that no job runs'
          : undefined;
  return seen === undefined ? undefined : `${seen}, and VM ${vm.vmId} runs ${vm.job?.name ?? 'a job'}`;
}

const waitsForJobs = (vm: VmWord): boolean =>
  vm.state === 'ready.idle' && vm.listens && vm.job === undefined && !vm.registering && !vm.ended;

/** What it says is of today, and recent. */
const isHeard = (vm: VmWord): boolean =>
  vm.heard && vm.liveness === 'alive' && vm.lastHeartbeatAt !== undefined && phaseOf(vm.state) !== undefined;

function toFinding(
  row: RunnerRow,
  { code, ...finding }: Omit<Finding, 'row' | 'facts'> & { readonly code: string },
): Finding {
  const { github, vm } = row;
  const facts = [
    finding.kind,
    finding.action,
    code,
    github === undefined ? '' : `${github.id} ${github.online} ${github.busy}`,
    vm?.bootId ?? '',
  ];
  return { ...finding, row, facts: facts.join('|') };
}
