/** What was promised of running jobs (I5): each ends by itself, unless an order says otherwise; and it is told once. */
import type { CommandResource } from '@mig/common/api/command-resource';
import { violations, type Evidence, type Violation } from '../evidence.js';
import type { Job } from '../../github/job.js';
import { isOfBoot, parseRunnerName } from '../../system/runner-name.js';
import type { VmHistory } from '../vm-history.js';

type JobEvidence = Pick<Evidence, 'jobs' | 'queuedJobs' | 'commands' | 'histories' | 'events'>;

/** A job whose runner was killed is given up by GitHub after this. */
export const JOB_LOST_MS = 12_000;
/** The clocks of two processes on one machine, and the time between a fact and its line in a log. */
const TOLERANCE_MS = 500;

export function checkJobs({ jobs, queuedJobs, commands, histories, events }: JobEvidence): Violation[] {
  const planned = new Map(queuedJobs.map(({ name, result }) => [name, result]));
  const byVm = new Map(histories.map((history) => [history.vmId, history]));
  const killed: string[] = [];
  const wrong: string[] = [];
  for (const job of jobs) {
    if (job.status !== 'completed') continue;
    if (job.ended_by !== 'itself') {
      if (!isLicensed(job, commands, byVm))
        killed.push(
          `${job.name} on ${job.runner_name ?? 'no runner'} was ended by ${job.ended_by ?? 'nobody'} (${job.result ?? ''}) at ${job.completed_at ?? ''}`,
        );
    } else if (job.result !== planned.get(job.name))
      wrong.push(`${job.name} ended ${job.result ?? ''}, not ${planned.get(job.name) ?? 'as planned'}`);
  }
  return [
    ...violations('a running job is ended by nothing but force or a deadline', killed),
    ...violations('a job has its own result', wrong),
    ...checkTold(jobs, events),
  ];
}

export const killedJobs = (jobs: readonly Job[]): Job[] =>
  jobs.filter((job) => job.status === 'completed' && job.ended_by !== 'itself');

/** Was there an order on that VM, force or a deadline that had passed, by which the job might be ended? */
export function isLicensed(
  job: Job,
  commands: readonly CommandResource[],
  histories: ReadonlyMap<string, VmHistory>,
): boolean {
  const runner = parseRunnerName(job.runner_name ?? '');
  const history = histories.get(runner?.vmId ?? '');
  const endedAt = Date.parse(job.completed_at ?? '');
  if (runner === undefined || history === undefined) return false;
  return commands.some((command) => {
    if (command.vm_id !== runner.vmId || (command.type !== 'drain' && command.type !== 'shutdown'))
      return false;
    if (!history.taken.includes(command.id)) return false;
    const deadlineMs = Number(command.parameters['deadline_ms'] ?? 0);
    const graceMs = command.parameters['force'] === true ? 0 : deadlineMs;
    if (command.parameters['force'] !== true && deadlineMs === 0) return false;
    // Without a line in the log it was taken by a life that was killed at that moment: when is not known.
    const [takenAt = 0] = history.takenAt.get(command.id) ?? [];
    const answeredAt = history.endedAt.get(command.id) ?? Infinity;
    const knownLateMs = job.ended_by === 'runner-lost' ? JOB_LOST_MS : 0;
    return (
      takenAt + graceMs - TOLERANCE_MS <= endedAt &&
      endedAt <= answeredAt + knownLateMs + TOLERANCE_MS &&
      // A runner's name ends with the beginning of its boot.
      history.lives.some(({ bootId }) => isOfBoot(runner, bootId))
    );
  });
}

function checkTold(jobs: readonly Job[], events: JobEvidence['events']): Violation[] {
  const counts = new Map<string, number>();
  for (const stored of events.values())
    for (const event of stored)
      if (event.type === 'job_started' || event.type === 'job_completed') {
        const key = `${event.type} ${event.data['name'] ?? ''}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
  const faults: string[] = [];
  for (const { name, status, ended_by: endedBy } of jobs) {
    // One that was ended with its runner has nobody to tell of its end.
    if (status !== 'completed' || endedBy !== 'itself') continue;
    for (const type of ['job_started', 'job_completed']) {
      const count = counts.get(`${type} ${name}`) ?? 0;
      if (count !== 1) faults.push(`${type} of ${name} is stored ${count} times`);
    }
  }
  return violations('the beginning and the end of a job are told once', faults);
}
