/**
 * Everything that can go wrong between GitHub, the controller and the VMs, at once and by chance with a seed: jobs that come
 * while a runner is being deleted, deletions that fail in every way, a `busy` that tells what was true a minute ago, webhooks
 * that are lost, doubled, late and out of order, orders of operators, kills of the controller and of MIGlets.
 *
 * Two promises must hold all the time: no job is killed, no VM stops while GitHub has a runner of it that lives. When the
 * disturbance is over, every VM comes back into service, every job is run, and the controller knows the end of each.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { VmResource } from '@mig/common/api/vm-resource';
import { verdict, type Part, type PartResult } from '../reliability/part.js';
import type { Ground } from '../reliability/ground.js';
import { inSeconds } from '../reliability/statistics.js';
import { waitUntil } from '../system/wait.js';
import { startProofControl, type ProofControl } from './control.js';
import { isReady, waitForFleet } from './fleet-states.js';
import { githubVerdicts } from './github-verdicts.js';
import { allJobsDone, findContradictions, findUnknownEnds, noJobKilled } from './jobs-verdict.js';
import { shutDownAll } from './lives-part.js';
import type { ProofOptions } from './options.js';
import { startProofFleet, type ProofFleet } from './proof-fleet.js';
import { createRaceDeeds, type RaceDeeds } from './races-deeds.js';
import { createRacesPlan } from './races-plan.js';

const REAL_VMS = 2;
const BUSY_LAG_MS = 60_000;
const KILL_EVERY_MS = 20_000;
const READY_BOUND_MS = 60_000;
const CALM_BOUND_MS = 120_000;
/** A job whose webhook is lost without a trace is looked up when nothing was heard of it for 5 min, in rounds of a minute. */
const LOOKUP_BOUND_MS = 480_000;
const SHORT_DEEDS_PER_MINUTE = 30;

export type RacesOptions = Pick<ProofOptions, 'vms' | 'seconds' | 'seed'> & {
  /**
   * More at once, and no webhook is lost without a trace; the controller is killed once more at the end, and looks for lost
   * deliveries when it starts: otherwise it may take a minute until it does. Default false.
   */
  readonly short?: boolean;
};

export const racesPart: Part<RacesOptions> = {
  name: 'races',
  title: 'jobs that race with deletions, and everything that can fail between GitHub and the controller',
  boundMs: ({ seconds }) => seconds * 1_000 + READY_BOUND_MS + 3 * CALM_BOUND_MS + LOOKUP_BOUND_MS,
  run,
};

async function run(ground: Ground, options: RacesOptions): Promise<PartResult> {
  const { short = false } = options;
  const durationMs = options.seconds * 1_000;
  const control = await startProofControl(ground, {
    github: {
      // In a proof of a minute a job that nobody has is handed on soon.
      acquireWithinMs: 5_000,
      sessionTimeoutMs: 10_000,
      pollMs: 5_000,
    },
    env: { CONTROLLER_GITHUB_WRITES_PER_SECOND: '50', CONTROLLER_GITHUB_REQUEST_TIMEOUT: '2s' },
  });
  const { github } = control;
  const fleet = startProofFleet(ground, control, {
    simulated: Math.ceil(options.vms / 2),
    real: REAL_VMS,
    restarts: true,
  });
  await waitForFleet(ground, control, {
    what: `${fleet.vmIds.length} VMs are ready`,
    vmIds: fleet.vmIds,
    isThere: isReady,
    deadlineMs: READY_BOUND_MS,
  });

  const deeds = createRaceDeeds(ground, control, fleet);
  const plan = createRacesPlan({
    seed: options.seed,
    durationMs,
    simulated: fleet.vmIds.filter((vmId) => vmId.startsWith('sim-')),
    real: fleet.realVmIds,
    kills: Math.max(1, Math.round(durationMs / KILL_EVERY_MS)),
    ...(short ? { deedsPerMinute: SHORT_DEEDS_PER_MINUTE } : {}),
  });
  ground.say(`${fleet.vmIds.length} VMs are ready; ${plan.length} deeds in ${options.seconds} s`);
  github.faults.setBusyLagMs(BUSY_LAG_MS);
  github.webhooks.faults.setChaos({
    seed: options.seed,
    lost: 0.1,
    lostUnrecorded: short ? 0 : 0.01,
    duplicated: 0.2,
    delayMs: { min: 0, max: 2_000 },
  });
  const beganAt = performance.now();
  for (const { atMs, deed } of plan) {
    const waitMs = beganAt + atMs - performance.now();
    if (waitMs > 0) await pause(waitMs, undefined, { signal: ground.signal });
    deeds.begin(deed);
  }
  const calmFrom = performance.now();
  deeds.repair();
  ground.say(`the disturbance is over; ${github.jobs().length} jobs, ${fleet.endCount} ends of VMs`);
  await deeds.settle();
  deeds.repair();
  if (short) {
    await control.controller.kill();
    await control.controller.start();
  }

  const { faults, calmMs } = await comeToRest(ground, control, fleet, calmFrom);
  const known = await control.workflowJobs();
  const unknownEnds = findUnknownEnds(github.jobs(), known);
  const open = await control.workflowJobs('&status=open');
  await shutDownAll(ground, control, fleet, CALM_BOUND_MS);
  await waitUntil('nothing is left at GitHub', () => github.runners().length === 0, {
    deadlineMs: 20_000,
    signal: ground.signal,
  }).catch(() => undefined);
  const jobs = github.jobs();
  const ended = jobs.filter(({ status }) => status === 'completed');
  return {
    figures: [
      ...figuresOf(control, fleet, deeds),
      { name: 'until all was well again', value: inSeconds(calmMs), unit: 's' },
    ],
    verdicts: [
      noJobKilled(jobs),
      verdict('no VM stopped with a registration that lived', fleet.liveAtEnd),
      verdict('every VM came back into service', faults),
      allJobsDone(jobs),
      verdict('the controller knows the end of every job', unknownEnds),
      verdict(
        'the controller tells the same of every job as GitHub',
        unknownEnds.length > 0 ? [] : findContradictions(ended, known),
      ),
      verdict(
        'no job is open at the controller',
        open.map(({ id, status }) => `job ${id} is ${status}`),
      ),
      verdict(
        'nothing is left at GitHub',
        github.runners().map(({ name, status }) => `${name} (${status})`),
      ),
      ...githubVerdicts(control),
      verdict('nothing was refused that should not be', deeds.complaints),
      verdict('no process ended by itself', [...control.crashes, ...fleet.crashes]),
    ],
  };
}

/** Orders of operators are taken back, until all is as it was. @returns what did not come back */
async function comeToRest(
  ground: Ground,
  control: ProofControl,
  fleet: ProofFleet,
  calmFrom: number,
): Promise<{ readonly faults: string[]; readonly calmMs: number }> {
  const { github, api } = control;
  let orders = 0;
  const helped = new Map<string, number>();
  const help = async (vm: VmResource): Promise<void> => {
    if (vm.cordon !== undefined) await api.setCordon(vm.vm_id, false);
    const last = helped.get(vm.vm_id) ?? -Infinity;
    if (vm.state !== 'draining.drained' || performance.now() - last < 5_000) return;
    helped.set(vm.vm_id, performance.now());
    orders += 1;
    await api.submit(vm.vm_id, { type: 'undrain', parameters: {} }, `rest-${orders}`);
  };
  try {
    await waitForFleet(ground, control, {
      what: 'all VMs are in service again',
      vmIds: fleet.vmIds,
      isThere: (vm) => {
        const isFit = isReady(vm) && vm.cordon === undefined && vm.eligible;
        if (!isFit) void help(vm).catch(() => undefined);
        return isFit;
      },
      deadlineMs: CALM_BOUND_MS,
    });
    ground.say('all VMs are in service again');
    await waitUntil('all jobs are done', () => github.jobs().every(({ status }) => status === 'completed'), {
      deadlineMs: CALM_BOUND_MS,
      signal: ground.signal,
    });
    ground.say('all jobs are done');
    await github.webhooks.settled();
    await waitUntil(
      'the controller knows the end of every job',
      async () => findUnknownEnds(github.jobs(), await control.workflowJobs()).length === 0,
      { deadlineMs: LOOKUP_BOUND_MS, everyMs: 500, signal: ground.signal },
    );
    return { faults: [], calmMs: performance.now() - calmFrom };
  } catch (error) {
    ground.signal.throwIfAborted();
    return {
      faults: [error instanceof Error ? error.message : String(error)],
      calmMs: performance.now() - calmFrom,
    };
  }
}

function figuresOf(control: ProofControl, fleet: ProofFleet, deeds: RaceDeeds): PartResult['figures'] {
  const deletions = new Map<string, number>();
  for (const { route, status } of control.github.requests())
    if (route === 'delete-runner') deletions.set(String(status), (deletions.get(String(status)) ?? 0) + 1);
  const list = (counts: ReadonlyMap<string, number>): string =>
    [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([what, count]) => `${what} ${count}`)
      .join(', ');
  const webhooks = control.github.webhooks.deliveries();
  return [
    { name: 'VMs, and how often one ended', value: `${fleet.vmIds.length}, ${fleet.endCount}` },
    { name: 'jobs', value: control.github.jobs().length },
    {
      name: 'ends of VMs while GitHub had a runner that was never started',
      value: fleet.unusedAtEnd.length,
    },
    { name: 'deletions, by answer', value: list(deletions) },
    { name: 'runners that went, by why', value: list(control.counts.removed) },
    { name: 'deeds', value: list(deeds.counts) },
    {
      name: 'deliveries of webhooks, of which failed',
      value: `${webhooks.length}, ${webhooks.filter(({ status }) => status !== 'OK').length}`,
    },
  ];
}
