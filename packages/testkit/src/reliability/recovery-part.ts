/**
 * From the kill of a controller until every VM has carried out a command again: a command is submitted to each VM as soon as
 * the controller, started again at once, takes it.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { waitUntil } from '../system/wait.js';
import { startFleetHosts, waitForVms } from './fleet-hosts.js';
import type { Control, Ground } from './ground.js';
import type { ReliabilityOptions } from './options.js';
import { verdict, type Part, type PartResult } from './part.js';
import { inSeconds, percentile } from './statistics.js';

const RUNS = 3;
/** A stream that lived as long as this is a good one: its MIGlet forgets earlier failures (`controller.minimum_uptime`). */
const UPTIME_MS = 11_000;
const HOSTS = 4;
/** A run takes no longer, or it has failed. */
const RUN_BOUND_MS = 60_000;

export const recoveryPart: Part = {
  name: 'recovery',
  title: 'from the kill of a controller until every VM has carried out a command again',
  boundMs: () => 90_000 + RUNS * RUN_BOUND_MS,
  run,
};

interface RunTimes {
  /** Until the controller listened again. */
  readonly listensMs: number;
  /** Until each VM's result was recorded. */
  readonly vmsMs: readonly number[];
}

async function run(ground: Ground, options: ReliabilityOptions): Promise<PartResult> {
  const control = await ground.startControl();
  const fleet = startFleetHosts(ground, {
    endpoint: control.controller.http,
    prefix: 'vm',
    count: options.vms,
    hostCount: HOSTS,
    kept: true,
  });
  const runs: RunTimes[] = [];
  for (let index = 0; index < RUNS; index += 1) {
    await waitForVms(ground, control, { count: options.vms, state: /^ready\./, deadlineMs: 90_000 });
    await pause(UPTIME_MS, undefined, { signal: ground.signal });
    const times = await runOnce(ground, control, fleet.vmIds, index);
    runs.push(times);
    ground.say(
      `the controller listened after ${inSeconds(times.listensMs)} s, the last VM was commanded after ${inSeconds(Math.max(...times.vmsMs))} s`,
    );
  }
  const all = runs.flatMap((each) => each.vmsMs);
  return {
    figures: [
      { name: 'VMs, runs', value: `${options.vms}, ${RUNS}` },
      {
        name: 'the controller listened again after, at most',
        value: inSeconds(Math.max(...runs.map((each) => each.listensMs))),
        unit: 's',
      },
      {
        name: 'a VM had carried out a command after: p50',
        value: inSeconds(percentile(all, 0.5)),
        unit: 's',
      },
      { name: 'p99', value: inSeconds(percentile(all, 0.99)), unit: 's' },
      { name: 'max', value: inSeconds(Math.max(...all)), unit: 's' },
    ],
    verdicts: [
      verdict(
        'every VM was commanded again in every run',
        all.length === RUNS * options.vms ? [] : [`${all.length} were`],
      ),
      verdict('no process ended by itself', [...control.crashes, ...fleet.crashes]),
    ],
  };
}

/** Milliseconds from the SIGKILL, by the one clock of this machine. */
async function runOnce(
  ground: Ground,
  control: Control,
  vmIds: readonly string[],
  index: number,
): Promise<RunTimes> {
  const killedAt = Date.now();
  await control.controller.kill();
  await control.controller.start();
  const listensMs = Date.now() - killedAt;
  const submitted = await Promise.all(
    vmIds.map((vmId) =>
      control.api.submit(
        vmId,
        { type: 'set_log_level', parameters: { level: 'info' } },
        `recovery-${index}-${vmId}`,
      ),
    ),
  );
  const ids = new Set(submitted.map((command) => command.id));
  const ended = await waitUntil(
    'every VM has carried out its command',
    async () => {
      const done = await control.api.commands({ state: 'completed' });
      const mine = done.filter((command) => ids.has(command.id));
      return mine.length === ids.size ? mine : undefined;
    },
    { deadlineMs: RUN_BOUND_MS, everyMs: 500, signal: ground.signal },
  );
  // What the controller wrote down, not when it was looked at.
  return { listensMs, vmsMs: ended.map((command) => Date.parse(command.finished_at ?? '') - killedAt) };
}
