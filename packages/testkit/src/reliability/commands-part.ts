/**
 * Commands to a fleet whose controller is killed every 20 s and started again at once, and of whose VMs each is killed once.
 *
 * The VMs are simulated, 1/10 of them in a process: the real MIGlet with its journals on disk, and a runner that runs
 * nothing, with jobs. A kill is SIGKILL to such a process.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { errorMessage } from '@mig/common/errors';
import { waitUntil } from '../system/wait.js';
import { judgeCommands } from './commands-verdict.js';
import { planOrders, submitAll, type Accepted } from './commands-workload.js';
import { judgeEvents, missingEvents, readStoredEvents } from './events-verdict.js';
import { startFleetHosts, waitForVms, type FleetHosts } from './fleet-hosts.js';
import { witnessFile, type Control, type Ground } from './ground.js';
import type { ReliabilityOptions } from './options.js';
import { verdict, type Part, type PartResult } from './part.js';
import { readWitnessLog, type WitnessLog } from './witness-log.js';

const KILL_EVERY_MS = 20_000;
/** Orders per second; with it the default of 10,000 takes 67 s, in which the controller dies three times. */
const RATE_PER_S = 150;
const MIN_WINDOW_MS = 25_000;
const HOSTS = 10;
/** How long a killed VM stays away. */
const DOWN_MS = { min: 500, max: 4_000 };
const JOBS = '1s..5s';
/** Shorter than a MIGlet has it by default, so that the orders meet VMs that are there: those for one that is away are folded. */
const RECONNECT = '500ms..5s';
/** From the last order until every command must have ended. */
const SETTLE_MS = 90_000;
/** An event that is not acknowledged is sent again after 30 s at the latest. */
const EVENTS_SETTLE_MS = 40_000;

const windowOf = ({ commands }: ReliabilityOptions): number =>
  Math.max(MIN_WINDOW_MS, (commands / RATE_PER_S) * 1_000);

export const commandsPart: Part = {
  name: 'commands',
  title: 'commands while the controller is killed every 20 s, and every VM once',
  boundMs: (options) => 2 * windowOf(options) + 60_000 + SETTLE_MS + 2 * EVENTS_SETTLE_MS + 30_000,
  run,
};

async function run(ground: Ground, options: ReliabilityOptions): Promise<PartResult> {
  const control = await ground.startControl({
    env: { CONTROLLER_RETENTION_FINISHED_COMMANDS: '1000000' },
  });
  const fleet = startFleetHosts(ground, {
    endpoint: control.controller.http,
    prefix: 'vm',
    count: options.vms,
    hostCount: HOSTS,
    kept: true,
    jobs: JOBS,
    reconnect: RECONNECT,
  });
  await waitForVms(ground, control, { count: options.vms, state: /^ready\./, deadlineMs: 60_000 });
  ground.say(`${options.vms} VMs are ready; ${options.commands} commands begin`);

  const windowMs = windowOf(options);
  const plans = planOrders(ground.random, fleet.vmIds, { commandCount: options.commands, windowMs });
  const hostKills = Array.from({ length: fleet.hostCount }, (_, host) => ({
    host,
    atMs: (0.05 + 0.85 * ground.random()) * windowMs,
    downMs: DOWN_MS.min + ground.random() * (DOWN_MS.max - DOWN_MS.min),
  }));
  const accepted: Accepted[] = [];
  const over = new AbortController();
  const killing = killController(ground, control, over.signal);
  const progress = setInterval(
    () => ground.say(`${accepted.length} accepted, ${control.api.retryCount} asked again`),
    10_000,
  );
  let controllerKills: number;
  try {
    await Promise.all([
      submitAll(ground, control, plans, (each) => accepted.push(each)),
      ...hostKills.map((kill) => killHost(ground, fleet, kill)),
    ]);
  } finally {
    clearInterval(progress);
    over.abort();
    controllerKills = await killing;
  }
  ground.say('all are accepted; what is under way ends');

  fleet.stopGivingJobs();
  await waitOrSay(
    ground,
    'every command has ended',
    async () => {
      const open = await Promise.all(
        ['queued', 'sent', 'received'].map((state) => control.api.commands({ state })),
      );
      return open.every((commands) => commands.length === 0);
    },
    SETTLE_MS,
  );
  // No VM has a job, and none is on its way to another state: what it has to tell, it has told.
  await waitOrSay(
    ground,
    'every VM is at rest',
    async () =>
      (await control.api.vms()).every((vm) => vm.state === 'ready.idle' || vm.state === 'draining.drained'),
    EVENTS_SETTLE_MS,
  );
  const stored = await settleEvents(ground, control, fleet.vmIds);
  const records = await control.api.commands();
  await control.controller.stop();
  const logs = readLogs(ground, fleet.vmIds);

  const { dataDirectory } = control.controller;
  const commands = judgeCommands({ accepted, records, logs, dataDirectory });
  const events = judgeEvents(logs, stored, dataDirectory);
  const jobs = logs.flatMap((log) => log.facts.filter((fact) => fact.kind === 'jobEnded'));
  const early = jobs.filter((fact) => fact.early);
  const vmKills = logs.filter((log) => log.processCount === 2).length;
  return {
    figures: [
      { name: 'VMs', value: options.vms },
      { name: 'kills of the controller', value: controllerKills },
      { name: 'VMs killed once', value: vmKills },
      { name: 'orders asked again after a lost answer', value: control.api.retryCount },
      ...commands.figures,
      ...events.figures,
      { name: 'jobs run', value: jobs.length },
      { name: 'jobs killed', value: early.length },
    ],
    verdicts: [
      ...commands.verdicts,
      ...events.verdicts,
      verdict(
        'no job was ended by anything but itself',
        early.map((fact) => `${fact.jobId} was ended early`),
      ),
      verdict(
        'every VM was killed once',
        vmKills === options.vms ? [] : [`${vmKills} of ${options.vms} were`],
      ),
      verdict('no process ended by itself', [...control.crashes, ...fleet.crashes]),
    ],
  };
}

/** SIGKILL every 20 s until it is over; started again at once. @returns how often */
async function killController(ground: Ground, control: Control, over: AbortSignal): Promise<number> {
  const signal = AbortSignal.any([ground.signal, over]);
  const startedAt = performance.now();
  let kills = 0;
  for (;;) {
    const dueMs = startedAt + (kills + 1) * KILL_EVERY_MS - performance.now();
    try {
      await pause(Math.max(0, dueMs), undefined, { signal });
    } catch {
      return kills;
    }
    await control.controller.kill();
    await control.controller.start();
    kills += 1;
    ground.say(`the controller was killed, and listens again (${kills})`);
  }
}

async function killHost(
  ground: Ground,
  fleet: FleetHosts,
  kill: { readonly host: number; readonly atMs: number; readonly downMs: number },
): Promise<void> {
  await pause(kill.atMs, undefined, { signal: ground.signal });
  await fleet.kill(kill.host, kill.downMs);
  ground.say(
    `the VMs of process ${kill.host + 1} were killed, and started again after ${(kill.downMs / 1_000).toFixed(1)} s`,
  );
}

/** What has not come about by then is told, and what it means is the verdict's to say. */
async function waitOrSay(
  ground: Ground,
  what: string,
  condition: () => Promise<boolean>,
  deadlineMs: number,
): Promise<void> {
  try {
    await waitUntil(what, condition, { deadlineMs, everyMs: 500, signal: ground.signal });
  } catch (error) {
    ground.signal.throwIfAborted();
    ground.say(errorMessage(error));
  }
}

/** What the controller has, as soon as that is all, or when there is no more hope. */
async function settleEvents(ground: Ground, control: Control, vmIds: readonly string[]) {
  const deadline = performance.now() + EVENTS_SETTLE_MS;
  for (;;) {
    const stored = await readStoredEvents(control, vmIds);
    if (missingEvents(readLogs(ground, vmIds), stored).length === 0 || performance.now() > deadline)
      return stored;
    await pause(1_000, undefined, { signal: ground.signal });
  }
}

const readLogs = (ground: Ground, vmIds: readonly string[]): WitnessLog[] =>
  vmIds.map((vmId) => readWitnessLog(vmId, witnessFile(ground.folder, vmId)));
