/**
 * The main job, many times: every VM is registered with a JIT configuration, runs a job, is registered again. GitHub's
 * documented limits are on. In the end all are shut down, and nothing of theirs is left at GitHub.
 */
import { GITHUBS_SECONDARY_LIMITS } from '../github/secondary-limit.js';
import { verdict, type Part, type PartResult } from '../reliability/part.js';
import { POOL, type Ground } from '../reliability/ground.js';
import { inSeconds } from '../reliability/statistics.js';
import { waitUntil } from '../system/wait.js';
import { startProofControl, type ProofControl } from './control.js';
import { isDone, isReady, waitForFleet } from './fleet-states.js';
import { githubVerdicts } from './github-verdicts.js';
import { allJobsDone, findContradictions, findUnknownEnds, noJobKilled } from './jobs-verdict.js';
import type { ProofOptions } from './options.js';
import { startProofFleet, type ProofFleet } from './proof-fleet.js';

const REAL_VMS = 2;
const JOB_MS = { min: 50, max: 1_500 };

/** Registrations that GitHub takes in a second, of one kind (900 points in a minute, 5 each), with something to spare. */
const REGISTRATIONS_PER_SECOND = 2.5;
const SLACK_MS = 120_000;

export type LivesOptions = Pick<ProofOptions, 'vms' | 'rounds'> & {
  /** GitHub's limits, and what the controller does by default to stay below. Default true. */
  readonly limited?: boolean;
};

const expectedMs = ({ vms, rounds }: LivesOptions): number =>
  (((vms + REAL_VMS) * (rounds + 1)) / REGISTRATIONS_PER_SECOND) * 1_000 + SLACK_MS;

export const livesPart: Part<LivesOptions> = {
  name: 'lives',
  title: 'registered, a job, registered again: every VM, several times',
  boundMs: (options) => 2 * expectedMs(options),
  run,
};

async function run(ground: Ground, options: LivesOptions): Promise<PartResult> {
  const { vms, rounds, limited = true } = options;
  const deadlineMs = expectedMs(options);
  const control = await startProofControl(ground, {
    github: limited
      ? { secondaryLimits: { ...GITHUBS_SECONDARY_LIMITS, postsPerMinute: Infinity }, rateLimit: {} }
      : {},
    env: limited ? {} : { CONTROLLER_GITHUB_WRITES_PER_SECOND: '50' },
  });
  const { github } = control;
  const fleet = startProofFleet(ground, control, { simulated: vms, real: REAL_VMS });
  const startedAt = performance.now();
  const count = fleet.vmIds.length;
  await waitForFleet(ground, control, {
    what: `${count} VMs are ready`,
    vmIds: fleet.vmIds,
    isThere: isReady,
    deadlineMs,
  });
  const readyMs = performance.now() - startedAt;
  ground.say(`${count} VMs are ready; each is given ${rounds} jobs`);

  queueJobs(ground, control, fleet, rounds);
  const jobsStartedAt = performance.now();
  await waitUntil(
    'all jobs are done',
    () => {
      const left = github.jobs().filter(({ status }) => status !== 'completed').length;
      return left === 0;
    },
    { deadlineMs, everyMs: 250, signal: ground.signal },
  );
  const jobsMs = performance.now() - jobsStartedAt;
  ground.say('all jobs are done');
  // A VM says for a moment yet that it is ready with the runner that has just had its last job.
  await waitUntil(
    'every VM is registered anew',
    () => fleet.vmIds.every((vmId) => (control.counts.registered.get(vmId) ?? 0) > rounds),
    { deadlineMs, everyMs: 250, signal: ground.signal },
  ).catch(() => undefined);
  await waitForFleet(ground, control, {
    what: 'all VMs are ready again',
    vmIds: fleet.vmIds,
    isThere: isReady,
    deadlineMs,
  });
  await github.webhooks.settled();
  await waitUntil(
    'the controller knows the end of every job',
    async () => findUnknownEnds(github.jobs(), await control.workflowJobs()).length === 0,
    { deadlineMs: 10_000, signal: ground.signal },
  ).catch(() => undefined);
  const known = await control.workflowJobs();
  const open = await control.workflowJobs('&status=open');
  const again = fleet.vmIds
    .filter((vmId) => (control.counts.registered.get(vmId) ?? 0) < rounds + 1)
    .map((vmId) => `${vmId} was registered ${control.counts.registered.get(vmId) ?? 0} times`);
  const unlike = fleet.vmIds
    .filter((vmId) => control.counts.completed.get(vmId) !== rounds)
    .map((vmId) => `${vmId} ran ${control.counts.completed.get(vmId) ?? 0} jobs`);
  const registrations = [...control.counts.registered.values()].reduce((sum, each) => sum + each, 0);

  const shutdownAt = performance.now();
  await shutDownAll(ground, control, fleet, deadlineMs);
  const shutdownMs = performance.now() - shutdownAt;
  const jobs = github.jobs();
  return {
    figures: [
      { name: 'VMs, of which real MIGlets with stand-in runners', value: `${count}, ${REAL_VMS}` },
      { name: 'registrations', value: registrations },
      { name: 'jobs', value: jobs.length },
      {
        name: 'requests to GitHub',
        value: github.requests().filter(({ caller }) => caller !== undefined).length,
      },
      { name: 'until all were ready', value: inSeconds(readyMs), unit: 's' },
      { name: 'until all jobs were done', value: inSeconds(jobsMs), unit: 's' },
      { name: 'until all were shut down', value: inSeconds(shutdownMs), unit: 's' },
    ],
    verdicts: [
      allJobsDone(jobs),
      noJobKilled(jobs),
      verdict(`every VM ran ${rounds} jobs`, unlike),
      verdict('every VM was registered anew for each job', again),
      verdict('the controller tells the same of every job as GitHub', findContradictions(jobs, known)),
      verdict(
        'no job is open at the controller',
        open.map(({ id, status }) => `job ${id} is ${status}`),
      ),
      verdict('no VM stopped with a registration that lived', fleet.liveAtEnd),
      verdict('every VM has stopped', fleet.endCount === count ? [] : [`${fleet.endCount} of ${count}`]),
      verdict(
        'nothing is left at GitHub',
        github.runners().map(({ name, status }) => `${name} (${status})`),
      ),
      verdict(
        'no limit of GitHub was hit',
        github
          .requests()
          .filter(({ status }) => status === 429 || status === 403)
          .map(({ method, path, status }) => `${method} ${path}: ${status}`),
      ),
      ...githubVerdicts(control),
      verdict('no process ended by itself', [...control.crashes, ...fleet.crashes]),
    ],
  };
}

function queueJobs(ground: Ground, control: ProofControl, fleet: ProofFleet, rounds: number): void {
  for (let round = 1; round <= rounds; round += 1) {
    for (const vmId of fleet.vmIds) {
      control.github.queueJob({
        name: `job ${round} of ${vmId}`,
        labels: ['self-hosted', POOL, vmId],
        durationMs: Math.round(JOB_MS.min + ground.random() * (JOB_MS.max - JOB_MS.min)),
      });
    }
  }
}

/** As an operator does, without force. */
export async function shutDownAll(
  ground: Ground,
  control: ProofControl,
  fleet: ProofFleet,
  deadlineMs: number,
): Promise<void> {
  fleet.stopRestarting();
  await Promise.all(
    fleet.vmIds.map((vmId) => control.api.submit(vmId, { type: 'shutdown', parameters: {} }, `end-${vmId}`)),
  );
  await waitForFleet(ground, control, {
    what: 'all VMs are shut down',
    vmIds: fleet.vmIds,
    isThere: isDone,
    deadlineMs,
  });
  await waitUntil('the ends are told', () => fleet.endCount >= fleet.vmIds.length, {
    deadlineMs: 10_000,
    signal: ground.signal,
  }).catch(() => undefined);
}
