/**
 * How a large fleet comes back: after a controller that was ended in order and started again, and after one that was killed.
 * A connect is counted when the controller accepts the stream.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { waitUntil } from '../system/wait.js';
import { startFleetHosts, waitForVms } from './fleet-hosts.js';
import type { Control, Ground } from './ground.js';
import type { ReliabilityOptions } from './options.js';
import { verdict, type Figure, type Part, type PartResult } from './part.js';
import { inSeconds, peak } from './statistics.js';

const HOSTS = 4;
const CONNECT_BOUND_MS = 120_000;
/** A stream that lived as long as this is a good one: its MIGlet forgets earlier failures (`controller.minimum_uptime`). */
const UPTIME_MS = 11_000;
/** `shutdown.reconnect_per_second`, by default: times to come back are chosen by chance, so that many in a second on average. */
const WANTED_PER_S = 500;
/** Chance goes above it by four standard deviations once in many thousand seconds. */
const MOST_PER_S = Math.ceil(WANTED_PER_S + 4 * Math.sqrt(WANTED_PER_S));
/** The finer of the two windows of which the peak is taken. */
const FINE_MS = 100;

export const stormPart: Part = {
  name: 'storm',
  title: 'how a large fleet comes back after a restart of the controller',
  boundMs: () => 30_000 + 3 * CONNECT_BOUND_MS,
  run,
};

async function run(ground: Ground, options: ReliabilityOptions): Promise<PartResult> {
  /** When which VM was accepted, since the last restart; milliseconds since 1970. */
  let accepted: { readonly vmId: string; readonly at: number }[] = [];
  const control = await ground.startControl({
    onControllerLog(entry) {
      if (entry['event'] !== 'connected') return;
      accepted.push({ vmId: String(entry['vmId']), at: Date.parse(String(entry['time'])) });
    },
  });
  const fleet = startFleetHosts(ground, {
    endpoint: control.controller.http,
    prefix: 'vm',
    count: options.storm,
    hostCount: HOSTS,
    kept: false,
  });
  await waitForVms(ground, control, {
    count: options.storm,
    state: /^ready\./,
    deadlineMs: CONNECT_BOUND_MS,
  });
  ground.say(`${options.storm} VMs are ready`);

  const restarts: Restart[] = [];
  for (const how of ['SIGTERM', 'SIGKILL'] as const) {
    await pause(UPTIME_MS, undefined, { signal: ground.signal });
    accepted = [];
    const restart = await restartOnce(ground, control, how, options.storm, () => accepted);
    restarts.push(restart);
    ground.say(
      `${how}: all were back after ${inSeconds(restart.allMs)} s, at most ${restart.perSecond} in a second`,
    );
    await waitForVms(ground, control, {
      count: options.storm,
      state: /^ready\./,
      deadlineMs: CONNECT_BOUND_MS,
    });
  }
  return {
    figures: [{ name: 'VMs', value: options.storm }, ...restarts.flatMap(figuresOf)],
    verdicts: [
      verdict(
        'every VM came back after both',
        restarts
          .filter((each) => each.vms < options.storm)
          .map((each) => `after ${each.how} ${each.vms} did`),
      ),
      verdict(
        `no storm: ${WANTED_PER_S} connects per second as configured, by chance ${MOST_PER_S}`,
        restarts
          .filter((each) => each.perSecond > MOST_PER_S)
          .map((each) => `after ${each.how} there were ${each.perSecond}`),
      ),
      verdict(
        'the controller ended in order when it was asked to',
        restarts.flatMap((each) => each.faults),
      ),
      verdict('no process ended by itself', [...control.crashes, ...fleet.crashes]),
    ],
  };
}

interface Restart {
  readonly how: 'SIGTERM' | 'SIGKILL';
  /** From the signal until it had ended. */
  readonly endMs: number;
  /** From the signal until the new one listened, and until the last VM was back. */
  readonly listensMs: number;
  readonly allMs: number;
  readonly perSecond: number;
  readonly perFine: number;
  /** Streams that were accepted; more than VMs if some were opened twice. */
  readonly connects: number;
  readonly vms: number;
  readonly faults: readonly string[];
}

async function restartOnce(
  ground: Ground,
  control: Control,
  how: Restart['how'],
  count: number,
  accepted: () => readonly { readonly vmId: string; readonly at: number }[],
): Promise<Restart> {
  const startedAt = Date.now();
  const faults: string[] = [];
  if (how === 'SIGKILL') await control.controller.kill();
  else {
    const exit = await control.controller.stop();
    if (exit.code !== 0)
      faults.push(`it ended with ${exit.signal ?? exit.code ?? 'nothing'}: ${exit.lastError}`);
  }
  const endMs = Date.now() - startedAt;
  await control.controller.start();
  const listensMs = Date.now() - startedAt;
  const vmCount = (): number => new Set(accepted().map(({ vmId }) => vmId)).size;
  await waitUntil(`${count} VMs are back after ${how}`, () => vmCount() >= count, {
    deadlineMs: CONNECT_BOUND_MS,
    signal: ground.signal,
  });
  const times = accepted().map(({ at }) => at);
  return {
    how,
    endMs,
    listensMs,
    allMs: Math.max(...times) - startedAt,
    perSecond: peak(times, 1_000),
    perFine: peak(times, FINE_MS),
    connects: times.length,
    vms: vmCount(),
    faults,
  };
}

function figuresOf(restart: Restart): Figure[] {
  const after = restart.how === 'SIGTERM' ? 'ended in order' : 'killed';
  return [
    ...(restart.how === 'SIGTERM'
      ? [
          {
            name: `${after}: from the signal to the end of the process`,
            value: inSeconds(restart.endMs),
            unit: 's',
          },
        ]
      : []),
    {
      name: `${after}: from the signal until the next one listened`,
      value: inSeconds(restart.listensMs),
      unit: 's',
    },
    { name: `${after}: until every VM was connected`, value: inSeconds(restart.allMs), unit: 's' },
    { name: `${after}: peak connects, in any second`, value: restart.perSecond, unit: '/s' },
    {
      name: `${after}: peak connects, in any 100 ms, scaled`,
      value: restart.perFine * (1_000 / FINE_MS),
      unit: '/s',
    },
    { name: `${after}: streams opened`, value: restart.connects },
  ];
}
