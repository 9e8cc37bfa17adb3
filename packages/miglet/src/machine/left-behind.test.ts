import { describe, expect, it } from '@jest/globals';
import { ok } from '@mig/common/outcome';
import { createHarness, deregisterAnswer, events, LIMITS, ROAD, type Harness } from './harness.contract.js';

const deleted = deregisterAnswer('deleted');
const busy = deregisterAnswer('busy');
const unavailable = deregisterAnswer('unavailable');

async function refuse(harness: Harness, times: number, answer = unavailable): Promise<void> {
  for (let failure = 0; failure < times; failure += 1) {
    await harness.answer('deregister', answer);
    await harness.advance(LIMITS.deregisterRetryMs);
  }
}

describe('what GitHub may know', () => {
  it('is remembered before the runner is configured, and forgotten when GitHub has deleted it', async () => {
    const harness = await ROAD.awaitingCommand();
    expect(harness.registeredMemory.at(-1) ?? '').toBe('');
    await harness.send(events.register('register-1'));
    expect([harness.isAsked('configureRunner'), harness.registeredMemory.at(-1)]).toEqual([true, 'vm-1']);
    await harness.answer('configureRunner', ok(undefined));
    await harness.runnerTells(events.started(), events.listening());
    await harness.send(events.drain('drain-1'));
    expect(harness.registeredMemory.at(-1)).toBe('vm-1');
    await harness.answer('deregister', deleted);
    expect(harness.registeredMemory.at(-1)).toBe('');
  });

  it('by an earlier process is deleted before the VM registers anew', async () => {
    const harness = await ROAD.awaitingCommand({ registeredAs: ['vm-8', 'vm-9'] });
    await harness.send(events.register('register-1'));
    for (const name of ['vm-8', 'vm-9']) {
      expect(harness.calls.at(-1)).toEqual({ port: 'deregister', input: { runnerName: name } });
      await harness.answer('deregister', deleted);
    }
    expect(harness.lifecycle()).toBe('registering.configuring');
    expect(harness.registeredMemory.at(-1)).toBe('vm-1');
  });

  it.each([
    ['drained', events.drain('order-1'), 'draining.drained'],
    ['shut down', events.shutdown('order-1'), 'shutdown.flushing'],
  ])('by an earlier process is deleted before the VM is %s', async (_what, order, end) => {
    const harness = await ROAD.awaitingCommand({ registeredAs: ['vm-8'] });
    await harness.send(order);
    expect(harness.lifecycle()).toBe('draining.deregistering');
    await harness.answer('deregister', deleted);
    expect(harness.lifecycle()).toBe(end);
  });

  it('of a runner that an earlier process left running is asked about once, with its process', async () => {
    const harness = await ROAD.awaitingCommand({
      registeredAs: ['vm-1'],
      leftover: [events.started(), events.listening()],
    });
    expect(harness.context().leftBehind).toEqual([]);
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    expect([harness.lifecycle(), harness.timesAsked('deregister')]).toEqual([
      'registering.awaitingCommand',
      1,
    ]);
  });

  it('that GitHub does not delete does not keep the VM from service for long, and is asked about again when it leaves', async () => {
    const harness = await ROAD.busy();
    await harness.runnerTells(events.exited(137));
    await harness.advance(LIMITS.registrationBackoff.firstMs);
    // The job was lost with its runner: GitHub takes it for running for minutes.
    await refuse(harness, LIMITS.maxClearFailures, busy);
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
    await harness.send(events.register('register-2', { runnerName: 'vm-2' }));
    expect(harness.registeredMemory.at(-1)).toBe('vm-1,vm-2');
    await harness.answer('configureRunner', ok(undefined));
    await harness.runnerTells({ type: 'runner.started', runner: { name: 'vm-2', labels: [] } });
    await harness.runnerTells(events.listening());
    await harness.send(events.drain('drain-1'));
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    expect(harness.calls.at(-1)).toEqual({ port: 'deregister', input: { runnerName: 'vm-1' } });
    await harness.answer('deregister', deleted);
    expect(harness.lifecycle()).toBe('draining.drained');
    expect(harness.leftOf('drain-1')).toBeUndefined();
  });

  it('and cannot be asked about for as long as a drain waits is said in its answer and in the last event', async () => {
    const harness = await ROAD.deregistering();
    await harness.runnerTells(events.exited(0));
    await refuse(harness, LIMITS.maxDeregisterFailures);
    expect(harness.leftOf('drain-1')).toBe('vm-1');
    expect(harness.registeredMemory.at(-1)).toBe('vm-1');
    await harness.send(events.shutdown('down-1', { force: true }));
    await refuse(harness, LIMITS.maxForcedDeregisterFailures);
    expect(harness.emitted.at(-1)).toMatchObject({
      type: 'vm_shutting_down',
      data: { registration_left: 'vm-1' },
    });
    expect(harness.leftOf('down-1')).toBe('vm-1');
  });

  it('of a JIT config that is never used is deleted too: GitHub has the runner from the beginning', async () => {
    const harness = createHarness();
    await harness.answer('announce', ok(undefined));
    await harness.send(events.register('register-1', { runnerName: 'vm-5', jitConfig: 'a-jit-config' }));
    await harness.send(events.drain('drain-1'));
    expect(harness.calls.at(-1)).toEqual({ port: 'deregister', input: { runnerName: 'vm-5' } });
    expect(harness.registeredMemory.at(-1)).toBe('vm-5');
    await harness.answer('deregister', deleted);
    expect(harness.lifecycle()).toBe('draining.drained');
  });

  it('is at most eight names: the oldest are left to reconciliation (I12)', async () => {
    const names = Array.from({ length: 12 }, (_, n) => `vm-${n + 10}`);
    const harness = await ROAD.awaitingCommand({ registeredAs: names });
    await refuse(harness, LIMITS.maxClearFailures);
    expect(harness.context().leftBehind).toHaveLength(8);
  });
});
