/**
 * A `shutdown` that has 2 s to go out, for a VM that is away and returns after 5 s: the real MIGlet with the stand-in runner,
 * killed and started again. Once with the controller up all the time, once with one that is killed and started meanwhile.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { installStandInRunner } from '../runner/install.js';
import { waitUntil } from '../system/wait.js';
import type { Control, Ground } from './ground.js';
import { verdict, type Part, type PartResult } from './part.js';
import { createRealVm, type RealVm } from './real-vm.js';

const DELIVERY_MS = 2_000;
const AWAY_MS = 5_000;
/** How long it is watched after its return: a command that came late would be there by then. */
const WATCH_MS = 3_000;

export const deadlinePart: Part = {
  name: 'deadline',
  title: 'a shutdown with 2 s to go out, for a VM that returns after 5 s',
  boundMs: () => 120_000,
  run,
};

async function run(ground: Ground): Promise<PartResult> {
  const control = await ground.startControl();
  const vm = createRealVm(ground, control, {
    vmId: 'vm-1',
    installRunner: (directory) => void installStandInRunner(directory),
    env: { MIGLET_CONTROLLER_RECONNECT_FIRST: '500ms', MIGLET_CONTROLLER_RECONNECT_MAX: '2s' },
  });
  vm.start();
  await waitForState(ground, control, vm, 'ready.idle');
  const { boot_id: bootId } = await control.api.vm(vm.vmId);

  const faults: string[] = [];
  for (const killsController of [false, true]) {
    ground.say(killsController ? 'once more, with the controller killed meanwhile' : 'the MIGlet is killed');
    faults.push(...(await tryOnce(ground, control, vm, killsController)));
  }
  const after = await control.api.vm(vm.vmId);
  if (after.boot_id !== bootId) faults.push(`the VM is in boot ${after.boot_id}, and was in ${bootId}`);
  return {
    figures: [{ name: 'shutdowns whose time had passed', value: 2 }],
    verdicts: [
      verdict('the VM lives, in the same boot, and the command is expired', faults),
      verdict('no process ended by itself', control.crashes),
    ],
  };
}

async function tryOnce(
  ground: Ground,
  control: Control,
  vm: RealVm,
  killsController: boolean,
): Promise<string[]> {
  const faults: string[] = [];
  const key = `controller-killed-${killsController}`;
  await vm.kill();
  await waitUntil(
    'the controller knows that the VM is away',
    async () => (await control.api.vm(vm.vmId)).link === 'disconnected',
    { deadlineMs: 20_000, signal: ground.signal },
  );
  const submittedAt = performance.now();
  const order = { type: 'shutdown', parameters: { reason: 'too late' }, delivery_deadline_ms: DELIVERY_MS };
  const shutdown = await control.api.submit(vm.vmId, order, `${key}-shutdown`);
  // It says that the VM is back, and that what is in time goes out.
  const inTime = await control.api.submit(
    vm.vmId,
    { type: 'set_log_level', parameters: { level: 'info' } },
    `${key}-in-time`,
  );
  if (killsController) {
    await control.controller.kill();
    await control.controller.start();
  }
  await pause(Math.max(0, submittedAt + AWAY_MS - performance.now()), undefined, { signal: ground.signal });
  const before = await control.api.command(shutdown.id);
  if (before.state !== 'expired')
    faults.push(`${shutdown.id} was ${before.state} after ${AWAY_MS / 1_000} s`);

  vm.start();
  await waitUntil(
    'a command that is in time is carried out',
    async () => (await control.api.command(inTime.id)).state === 'completed',
    { deadlineMs: 40_000, signal: ground.signal },
  );
  await waitForState(ground, control, vm, 'ready.idle');
  await pause(WATCH_MS, undefined, { signal: ground.signal });
  const after = await control.api.command(shutdown.id);
  const { state } = await control.api.vm(vm.vmId);
  if (after.state !== 'expired') faults.push(`${shutdown.id} is ${after.state} in the end`);
  if (!vm.runs) faults.push(`the MIGlet has ended: ${(await vm.ended()).lastError}`);
  if (state !== 'ready.idle') faults.push(`the VM is ${state}`);
  if (vm.journal().some((line) => line.id === shutdown.id)) faults.push(`the VM took ${shutdown.id}`);
  return faults;
}

async function waitForState(ground: Ground, control: Control, vm: RealVm, state: string): Promise<void> {
  await waitUntil(
    `${vm.vmId} is ${state}`,
    async () => {
      const now = (await control.api.vms()).find((each) => each.vm_id === vm.vmId);
      return now?.state === state && now.link === 'connected';
    },
    { deadlineMs: 60_000, everyMs: 200, signal: ground.signal },
  );
}
