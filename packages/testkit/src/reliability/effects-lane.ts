/**
 * One VM with the real MIGlet that dies again and again while it carries out commands. Each of its processes has a plan: the
 * point at which it kills itself (common/src/test-points.ts), chosen by the seed; one that does not come to its point in a
 * while is killed from outside, at a time chosen by the seed.
 */
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { CommandResource } from '@mig/common/api/command-resource';
import { isFinal } from '@mig/common/domain/command-state';
import type { TestPoint } from '@mig/common/test-points';
import { waitUntil } from '../system/wait.js';
import { installDeedRunner } from './deed-runner.js';
import type { Control, Ground } from './ground.js';
import { createRealVm, type RealVm } from './real-vm.js';

/** What a lane and its VM have seen. */
export interface LaneRecord {
  readonly vm: RealVm;
  readonly runnerDirectory: string;
  /** Accepted commands, in their order. */
  readonly accepted: CommandResource[];
  /** Kills by the point at which they came; `outside` = at a random time. */
  readonly kills: Map<string, number>;
  /** What was not as it should be on the way. */
  readonly faults: string[];
  /** Shutdowns that were carried out. */
  shutdowns: number;
}

/** How often each point is chosen, of 100. The first four lie between an effect and its acknowledgement. */
const POINTS: readonly (readonly [point: TestPoint, share: number])[] = [
  ['results.reached', 30],
  ['results.journaled', 28],
  ['results.sent', 24],
  ['drain.remembered', 6],
  ['intake.acknowledged', 6],
  ['results.reported', 6],
];
export const BETWEEN_EFFECT_AND_ACK: readonly string[] = [
  'results.reached',
  'results.journaled',
  'results.sent',
  'drain.remembered',
];

/** A process that lives longer is killed from outside. */
const LIFE_MS = { min: 3_000, max: 8_000 };
/** Orders to a VM that is drained, before it is brought back. */
const ORDERS_PER_ROUND = 8;
const SHUTDOWN_SHARE = 0.15;
const UNDRAIN_SHARE = 0.3;
const ORDER_DEADLINE_MS = 90_000;
const LEVELS = ['debug', 'info'];

/** Works until `enough` says so. The VM is left alive, with nobody who kills it. */
export async function runLane(
  ground: Ground,
  control: Control,
  options: { readonly vmId: string; readonly random: () => number; readonly enough: () => boolean },
  onKill: (point: string) => void,
): Promise<LaneRecord> {
  const { vmId, random, enough } = options;
  const vm = createRealVm(ground, control, {
    vmId,
    installRunner: installDeedRunner,
    env: {
      MIGLET_CONTROLLER_RECONNECT_FIRST: '100ms',
      MIGLET_CONTROLLER_RECONNECT_MAX: '1s',
      MIGLET_REGISTRATION_RETRY_FIRST: '100ms',
      MIGLET_REGISTRATION_MAX_FAILURES: '1000',
    },
  });
  const record: LaneRecord = {
    vm,
    runnerDirectory: path.join(vm.folder, 'actions-runner'),
    accepted: [],
    kills: new Map(),
    faults: [],
    shutdowns: 0,
  };
  let over = false;
  const keeping = keepAlive();
  let count = 0;
  try {
    await waitForState('ready.idle');
    while (!enough()) {
      await order('drain', { reason: 'a kill' });
      await waitForState('draining.drained');
      for (let each = 0; each < ORDERS_PER_ROUND && !enough(); each += 1) await orderSetting();
      // What was done before must not be done again: a drained VM stays so.
      await waitForState('draining.drained');
      await bringBack();
      await waitForState('ready.idle');
    }
  } finally {
    over = true;
  }
  await keeping;
  return record;

  async function orderSetting(): Promise<void> {
    if (random() < 0.5)
      await order('set_log_level', { level: LEVELS[Math.floor(random() * LEVELS.length)] ?? 'info' });
    else await order('update_config', { heartbeat_interval_ms: 15_000 + Math.floor(random() * 1_000) });
  }

  async function bringBack(): Promise<void> {
    const chance = random();
    if (chance < SHUTDOWN_SHARE) {
      const before = (await control.api.vm(vmId)).boot_id;
      const command = await order('shutdown', { reason: 'a kill' });
      if (command.state === 'completed') record.shutdowns += 1;
      await waitUntil(
        `${vmId} is in another boot`,
        async () => (await control.api.vm(vmId)).boot_id !== before,
        { deadlineMs: ORDER_DEADLINE_MS, signal: ground.signal },
      );
    } else if (chance < SHUTDOWN_SHARE + UNDRAIN_SHARE) await order('undrain', { reason: 'a kill' });
    else await registerByName();
  }

  /** By the name the runner's scripts say for which command they were called. One that was interrupted is ordered anew. */
  async function registerByName(): Promise<void> {
    for (;;) {
      const command = await order('register_runner', { runner_name: `${vmId}-order-${count}` });
      if (command.state === 'completed' || !(await control.api.vm(vmId)).state.startsWith('draining')) return;
    }
  }

  /** Resolves when it has ended. */
  async function order(type: string, parameters: Record<string, unknown>): Promise<CommandResource> {
    count += 1;
    const accepted = await control.api.submit(vmId, { type, parameters }, `${vmId}-${count}`);
    record.accepted.push(accepted);
    return waitUntil(
      `${type} ${accepted.id} of ${vmId} has ended`,
      async () => {
        const now = await control.api.command(accepted.id);
        return isFinal(now.state) ? now : undefined;
      },
      { deadlineMs: ORDER_DEADLINE_MS, everyMs: 50, signal: ground.signal },
    );
  }

  /** A restarted MIGlet passes through other states on its way: it has to come to this one, and be heard there. */
  async function waitForState(state: string): Promise<void> {
    await waitUntil(
      `${vmId} is ${state}`,
      async () => {
        const now = (await control.api.vms()).find((each) => each.vm_id === vmId);
        return now?.state === state;
      },
      { deadlineMs: ORDER_DEADLINE_MS, everyMs: 100, signal: ground.signal },
    );
  }

  /** As an init system does: what died is started again, and also what has ended in order, as a VM that is booted anew. */
  async function keepAlive(): Promise<void> {
    while (!over && !ground.signal.aborted) {
      if (enough()) {
        vm.start();
        await Promise.race([vm.ended(), untilOver()]);
        continue;
      }
      const { plan, point } = choosePlan(random);
      vm.start(plan);
      const lifeMs = LIFE_MS.min + random() * (LIFE_MS.max - LIFE_MS.min);
      let fromOutside = false;
      const timer = setTimeout(() => {
        fromOutside = true;
        void vm.kill();
      }, lifeMs);
      const exit = await vm.ended();
      clearTimeout(timer);
      if (exit.signal === 'SIGKILL') {
        const where = fromOutside ? 'outside' : point;
        record.kills.set(where, (record.kills.get(where) ?? 0) + 1);
        onKill(where);
      } else if (exit.code !== 0 && !ground.signal.aborted)
        record.faults.push(`${vmId}: the MIGlet ended by itself: ${exit.lastError || String(exit.code)}`);
    }
  }

  async function untilOver(): Promise<void> {
    while (!over && !ground.signal.aborted) await pause(100);
  }
}

function choosePlan(random: () => number): { readonly plan: string; readonly point: TestPoint } {
  const share = random() * 100;
  let sum = 0;
  for (const [point, part] of POINTS) {
    sum += part;
    if (share < sum) return { plan: `${point}=kill@${1 + Math.floor(random() * 2)}`, point };
  }
  return { plan: 'results.journaled=kill@1', point: 'results.journaled' };
}
