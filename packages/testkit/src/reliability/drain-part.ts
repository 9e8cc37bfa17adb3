/**
 * A drain of a pool of 50 simulated VMs with jobs running, 10 at a time, while the controller is killed twice. Looked at from
 * the VMs: when each began to drain, when it had ended, and how its jobs ended.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { DrainResource } from '@mig/common/api/drain-resource';
import { waitUntil } from '../system/wait.js';
import { judgeEvents, readStoredEvents } from './events-verdict.js';
import { startFleetHosts, waitForVms } from './fleet-hosts.js';
import { POOL, witnessFile, type Control, type Ground } from './ground.js';
import { verdict, type Part, type PartResult } from './part.js';
import { inSeconds, mostAtOnce, type Span } from './statistics.js';
import { readWitnessLog, type WitnessLog } from './witness-log.js';

const VMS = 50;
const MAX_UNAVAILABLE = 10;
const JOBS = '1s..8s';
/** When the controller dies, counted from the beginning of the drain. */
const KILLS_MS = [
  { min: 2_000, max: 6_000 },
  { min: 9_000, max: 14_000 },
];
const DRAIN_BOUND_MS = 120_000;

export const drainPart: Part = {
  name: 'drain',
  title: `a drain of ${VMS} VMs with jobs running, ${MAX_UNAVAILABLE} at a time, the controller killed twice`,
  boundMs: () => 60_000 + DRAIN_BOUND_MS + 30_000,
  run,
};

async function run(ground: Ground): Promise<PartResult> {
  const control = await ground.startControl();
  const fleet = startFleetHosts(ground, {
    endpoint: control.controller.http,
    prefix: 'vm',
    count: VMS,
    hostCount: 2,
    kept: true,
    jobs: JOBS,
  });
  await waitForVms(ground, control, { count: VMS, state: /^ready\./, deadlineMs: 60_000 });
  await waitUntil(
    'most VMs run jobs',
    async () => (await control.api.vms()).filter((vm) => vm.state === 'ready.busy').length >= 0.6 * VMS,
    { deadlineMs: 30_000, everyMs: 200, signal: ground.signal },
  );
  const busyAtStart = (await control.api.vms()).filter((vm) => vm.state === 'ready.busy').length;
  ground.say(`${busyAtStart} of ${VMS} VMs run jobs; the drain begins`);

  const begunAt = Date.now();
  const { id } = await control.api.createDrain(
    {
      selector: { pool_id: POOL },
      reason: 'a new image',
      deadline_ms: 0,
      max_unavailable: MAX_UNAVAILABLE,
      then: 'shutdown',
    },
    'the-drain',
  );
  const [{ drain, mostByApi }] = await Promise.all([
    followDrain(ground, control, id),
    killTwice(ground, control),
  ]);
  const endedAt = Date.now();
  const stored = await readStoredEvents(control, fleet.vmIds);
  await control.controller.stop();

  const logs = fleet.vmIds.map((vmId) => readWitnessLog(vmId, witnessFile(ground.folder, vmId)));
  const spans = logs.map((log) => spanOf(log, begunAt));
  const mostByVms = mostAtOnce(spans.filter((span) => span !== undefined));
  const early = logs.flatMap(({ vmId, facts }) =>
    facts.flatMap((fact) =>
      fact.kind === 'jobEnded' && fact.early ? [`${vmId}: job ${fact.jobId} was ended early`] : [],
    ),
  );
  const jobs = logs.flatMap(({ facts }) => facts.filter((fact) => fact.kind === 'jobEnded'));
  const notDone = [
    ...drain.vms
      .filter((vm) => vm.state !== 'done')
      .map((vm) => `${vm.vm_id} is ${vm.state}: ${vm.message ?? vm.reason ?? ''}`),
    ...logs
      .filter((_, index) => spans[index]?.endedAt === undefined)
      .map(({ vmId }) => `${vmId} has not ended`),
  ];
  const events = judgeEvents(logs, stored, control.controller.dataDirectory);
  return {
    figures: [
      { name: 'VMs, with jobs running when the drain began', value: `${VMS}, ${busyAtStart}` },
      { name: 'kills of the controller', value: KILLS_MS.length },
      { name: 'VMs that drained at once, at most, by their own logs', value: mostByVms },
      { name: 'VMs that drained at once, at most, by the API', value: mostByApi },
      { name: 'VMs done', value: drain.counts.done },
      { name: 'jobs run', value: jobs.length },
      { name: 'jobs killed', value: early.length },
      { name: 'time until all were done', value: inSeconds(endedAt - begunAt), unit: 's' },
      ...events.figures,
    ],
    verdicts: [
      verdict('no job was ended early', early),
      verdict(
        `never more than ${MAX_UNAVAILABLE} VMs drained at once`,
        Math.max(mostByVms, mostByApi) > MAX_UNAVAILABLE
          ? [`${mostByVms} by their logs, ${mostByApi} by the API`]
          : [],
      ),
      verdict('every VM is done', notDone),
      verdict(
        'they drained side by side, not one by one',
        mostByVms < MAX_UNAVAILABLE / 2 ? [`only ${mostByVms}`] : [],
      ),
      ...events.verdicts,
      verdict('no process ended by itself', [...control.crashes, ...fleet.crashes]),
    ],
  };
}

/** @returns the drain in the end, and how many of its VMs were in it at once by what it said on the way */
async function followDrain(
  ground: Ground,
  control: Control,
  drainId: string,
): Promise<{ readonly drain: DrainResource; readonly mostByApi: number }> {
  let mostByApi = 0;
  let said = performance.now();
  const drain = await waitUntil(
    'the drain is complete',
    async () => {
      const now = await control.api.drain(drainId);
      mostByApi = Math.max(mostByApi, now.counts.draining + now.counts.shuttingDown);
      if (performance.now() - said > 5_000) {
        said = performance.now();
        ground.say(`${now.counts.done} done, ${now.counts.draining + now.counts.shuttingDown} under way`);
      }
      return now.state === 'active' ? undefined : now;
    },
    { deadlineMs: DRAIN_BOUND_MS, everyMs: 50, signal: ground.signal },
  );
  return { drain, mostByApi };
}

async function killTwice(ground: Ground, control: Control): Promise<void> {
  const startedAt = performance.now();
  for (const { min, max } of KILLS_MS) {
    const atMs = min + ground.random() * (max - min);
    await pause(Math.max(0, startedAt + atMs - performance.now()), undefined, { signal: ground.signal });
    await control.controller.kill();
    await control.controller.start();
    ground.say('the controller was killed, and listens again');
  }
}

/** From the first state of the VM that has to do with the drain until its MIGlet had noted that the boot ends. */
function spanOf({ facts }: WitnessLog, since: number): Span | undefined {
  const began = facts.find(
    (fact) => fact.at >= since && fact.kind === 'state' && /^(draining|shutdown)/.test(fact.state),
  );
  const ended = facts.find((fact) => fact.kind === 'bootEnded');
  return began === undefined ? undefined : { beganAt: began.at, endedAt: ended?.at };
}
