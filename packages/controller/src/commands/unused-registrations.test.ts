/** Runners that were made at GitHub for a VM, and that it will never start. */
import { describe, expect, it } from '@jest/globals';
import type { CommandRecord } from '@mig/common/domain/command';
import type { VmRecord } from '@mig/common/domain/vm';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import type { RemovalAnswer } from '../fleet/runner-fence.js';
import { settled } from '../parts.contract.js';
import { commandRecord, vmRecord } from '../store/samples.contract.js';
import { createTestLog } from '../test-log.contract.js';
import { createUnusedRegistrations } from './unused-registrations.js';

const MINTED = { jit_config: 'secret', runner_name: 'mig-k3x9f2-vm-1-0f3c9a1e' };
const register = (fields: Partial<CommandRecord> = {}): CommandRecord =>
  commandRecord({ id: 'cmd-1', type: 'register_runner', state: 'sent', attempts: 1, ...fields });
const waiting = (fields: Partial<VmRecord> = {}): VmRecord =>
  vmRecord({ state: 'registering.awaitingCommand', runner: undefined, outcome: undefined, ...fields });

function create() {
  const clock = createManualClock();
  const world = { vm: waiting(), command: register() };
  const removed: string[] = [];
  const answers: RemovalAnswer['outcome'][] = [];
  const unused = createUnusedRegistrations({
    fleet: { get: () => ({ record: world.vm }) as never },
    queue: { get: () => world.command },
    registrar: {
      async remove(_, name) {
        removed.push(name);
        return { outcome: answers.shift() ?? 'deleted', message: '' };
      },
    },
    clock,
    logger: createTestLog().logger,
    random: () => 0.5,
  });
  const becomes = (fields: Partial<CommandRecord>): void => {
    world.command = register(fields);
    unused.onChange({ kind: 'command', command: world.command });
  };
  const vmBecomes = (fields: Partial<VmRecord>): void => {
    world.vm = waiting(fields);
    unused.onChange({ kind: 'vm', vm: world.vm });
  };
  return { clock, world, removed, answers, unused, becomes, vmBecomes };
}

describe('a runner that was made for a registration', () => {
  it.each([
    ['the VM refused it', { state: 'failed', message: 'the VM is draining' }],
    ['it was cancelled', { state: 'cancelled' }],
    ['a newer registration took its place', { state: 'superseded' }],
    ['it expired before it went out', { state: 'expired', attempts: 0 }],
  ] as const)('is deleted when %s', async (_, fields) => {
    const { unused, world, removed, becomes } = create();
    unused.onMinted(world.command, world.vm, MINTED);
    becomes(fields);
    becomes(fields);
    await settled();
    expect(removed).toEqual([MINTED.runner_name]);
  });

  it.each([
    ['completed', { state: 'completed' }],
    ['interrupted: the VM had begun, and sees to it', { state: 'failed', result: { code: 'interrupted' } }],
    ['expired after it went out: the VM may have begun', { state: 'expired', attempts: 1 }],
  ] as const)('stays when the registration is %s', async (_, fields) => {
    const { unused, world, removed, becomes } = create();
    unused.onMinted(world.command, world.vm, MINTED);
    becomes(fields);
    await settled();
    expect(removed).toEqual([]);
  });

  it('is deleted when the VM has ended, or comes back as another boot, also if GitHub answers only then', async () => {
    for (const fields of [{ state: 'shutdown.done', outcome: 'drained' }, { bootId: 'boot-2' }]) {
      const { unused, world, removed, vmBecomes } = create();
      const minting = world.vm;
      unused.onMinted(world.command, minting, MINTED);
      vmBecomes(fields);
      await settled();
      expect(removed).toEqual([MINTED.runner_name]);
      unused.onMinted(register({ id: 'cmd-2' }), minting, { ...MINTED, runner_name: 'late' });
      await settled();
      expect(removed).toEqual([MINTED.runner_name, 'late']);
    }
  });

  it('stays when the VM says that it has it, whatever became of the command (I5)', async () => {
    const { unused, world, removed, becomes, vmBecomes } = create();
    unused.onMinted(world.command, world.vm, MINTED);
    vmBecomes({
      state: 'ready.idle',
      runner: { state: 'idle', configured: true, name: MINTED.runner_name, labels: [] },
    });
    becomes({ state: 'failed' });
    await settled();
    expect(removed).toEqual([]);
  });

  it('is tried again while GitHub cannot be asked, a bounded number of times, and not after a stop', async () => {
    const { clock, unused, world, removed, answers, becomes } = create();
    answers.push(...Array<'unavailable'>(100).fill('unavailable'));
    unused.onMinted(world.command, world.vm, MINTED);
    becomes({ state: 'failed' });
    for (let n = 0; n < 30; n += 1) {
      await settled();
      clock.advance(60_000);
    }
    expect(removed).toHaveLength(12);

    const other = create();
    other.answers.push('unavailable');
    other.unused.onMinted(other.world.command, other.world.vm, MINTED);
    other.becomes({ state: 'failed' });
    await settled();
    other.unused.stop();
    other.clock.advance(60_000);
    await settled();
    expect(other.removed).toHaveLength(1);
  });

  it('of a registration token is no runner yet: nothing is deleted', async () => {
    const { unused, world, removed, becomes } = create();
    unused.onMinted(world.command, world.vm, { registration_token: 't', runner_name: 'x' });
    becomes({ state: 'failed' });
    await settled();
    expect(removed).toEqual([]);
  });
});
