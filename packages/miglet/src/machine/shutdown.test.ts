import { describe, expect, it } from '@jest/globals';
import { retryable } from '@mig/common/outcome';
import { createHarness, deregisterAnswer, events, LIMITS, ROAD, type Harness } from './harness.contract.js';

const deleted = deregisterAnswer('deleted');

/** Answers and exits as the world would, until the machine has ended. */
async function letItEnd(harness: Harness): Promise<void> {
  for (let turn = 0; turn < 20 && harness.actor.getSnapshot().status === 'active'; turn += 1) {
    if (harness.isAsked('deregister')) await harness.answer('deregister', deleted);
    if (harness.requests.at(-1) === 'stop' && harness.runner() !== 'none')
      await harness.runnerTells(events.exited(0));
    if (harness.isAsked('flush')) await harness.answer('flush', undefined);
    if (harness.isAsked('powerOff')) await harness.answer('powerOff', undefined);
    if (harness.context().job !== undefined) await harness.runnerTells(events.jobFinished());
  }
}

const PHASES = {
  booting: async () => createHarness(),
  connecting: ROAD.announced,
  awaitingCommand: ROAD.awaitingCommand,
  configuring: ROAD.configuring,
  starting: ROAD.starting,
  backingOff: async () => {
    const harness = await ROAD.configuring();
    await harness.answer('configureRunner', retryable('GitHub is away'));
    return harness;
  },
  idle: ROAD.idle,
  busy: ROAD.busy,
  deregistering: ROAD.deregistering,
  stoppingRunner: ROAD.stoppingRunner,
  drained: ROAD.drained,
};

describe('shutdown', () => {
  it.each(Object.entries(PHASES))(
    'asked for in %s, drains, flushes and ends as drained',
    async (_phase, begin) => {
      const harness = await begin();
      await harness.send(events.shutdown('shutdown-1'));
      await letItEnd(harness);
      expect(harness.output()).toEqual({ outcome: 'drained', reason: 'SIGTERM', poweroff: false });
      expect([harness.lifecycle(), harness.link(), harness.runner()]).toEqual(['ended', 'closed', 'closed']);
      expect(harness.emittedTypes().filter((type) => /draining|shutting/.test(type))).toEqual([
        'draining',
        'vm_shutting_down',
      ]);
      expect(harness.resultsOf('shutdown-1')).toEqual([
        { id: 'shutdown-1', success: true, message: 'the MIGlet ends (drained)' },
      ]);
      expect([harness.timesEnded(), harness.dropped]).toEqual([1, []]);
    },
  );

  it('by a signal in booting, with no controller, ends after the time to flush', async () => {
    const harness = createHarness();
    await harness.send(events.shutdown());
    await harness.advance(LIMITS.flushTimeoutMs - 1);
    expect(harness.lifecycle()).toBe('shutdown.flushing');
    await harness.advance(1);
    expect(harness.output()).toMatchObject({ outcome: 'drained', reason: 'SIGTERM' });
    expect(harness.settled).toEqual([]);
  });

  it('lets a running job end (I5)', async () => {
    const harness = await ROAD.busy();
    await harness.send(events.shutdown('shutdown-1'));
    await harness.answer('deregister', deregisterAnswer('busy'));
    await harness.advance(5 * 86_400_000);
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.finishingJob', ['start']]);
  });

  it('with force, or with a second one that has it, ends the job and says so', async () => {
    const twice = await ROAD.busy();
    await twice.send(events.shutdown('shutdown-1'));
    await twice.send(events.shutdown('shutdown-2', { force: true, reason: 'SIGTERM again' }));
    const once = await ROAD.busy();
    await once.send(events.shutdown('shutdown-1', { force: true }));
    for (const harness of [twice, once]) {
      expect([harness.lifecycle(), harness.requests]).toEqual(['draining.stoppingRunner', ['start', 'stop']]);
      await letItEnd(harness);
      expect(harness.output()).toEqual({ outcome: 'forced', reason: 'SIGTERM', poweroff: false });
    }
    expect(twice.settled.slice(1).map(({ id }) => id)).toEqual(['shutdown-1', 'shutdown-2']);
  });

  it('the deadline of the settings holds for it too', async () => {
    const harness = await ROAD.busy({ settings: { drainDeadlineMs: 40_000 } });
    await harness.send(events.shutdown('shutdown-1'));
    await harness.advance(40_000);
    expect(harness.requests).toEqual(['start', 'stop']);
    await letItEnd(harness);
    expect(harness.output()).toMatchObject({ outcome: 'forced' });
  });

  it('in the middle of a drain answers both', async () => {
    const harness = await ROAD.deregistering();
    await harness.send(events.shutdown('shutdown-1'));
    await letItEnd(harness);
    expect(harness.settled.slice(1)).toEqual([
      { id: 'drain-1', success: true, message: 'drained' },
      { id: 'shutdown-1', success: true, message: 'the MIGlet ends (drained)' },
    ]);
  });

  it('a VM that was given up stays failed when it is asked to shut down', async () => {
    const harness = await ROAD.idle({ limits: { maxRegistrationFailures: 1 } });
    await harness.runnerTells(events.exited(1));
    await harness.send(events.shutdown('shutdown-1'));
    await letItEnd(harness);
    expect(harness.output()).toEqual({
      outcome: 'failed',
      reason: 'the runner crashed (exit code 1)',
      poweroff: false,
    });
    expect(harness.resultsOf('shutdown-1')).toMatchObject([{ success: true }]);
  });

  it('commands that come while the MIGlet ends are answered, and end nothing twice', async () => {
    const harness = await ROAD.flushing();
    await harness.send(events.drain('drain-2'), events.shutdown('shutdown-2'), events.register('register-2'));
    expect(harness.lifecycle()).toBe('shutdown.flushing');
    expect(harness.settled.slice(-3).map(({ id, success }) => [id, success])).toEqual([
      ['drain-2', true],
      ['shutdown-2', true],
      ['register-2', false],
    ]);
    await letItEnd(harness);
    expect(harness.emittedTypes().filter((type) => type === 'vm_shutting_down')).toHaveLength(1);
    expect(harness.timesEnded()).toBe(1);
  });

  it('powers the VM off when everything is reported, and ends also if that fails', async () => {
    for (const fails of [false, true]) {
      const harness = await ROAD.drained();
      await harness.send(events.shutdown('shutdown-1', { poweroff: true }));
      expect(harness.isAsked('powerOff')).toBe(false);
      await harness.answer('flush', undefined);
      expect(harness.lifecycle()).toBe('shutdown.poweringOff');
      await (fails ? harness.reject('powerOff', 'not allowed') : harness.answer('powerOff', undefined));
      expect(harness.output()).toEqual({ outcome: 'drained', reason: 'SIGTERM', poweroff: true });
    }
  });

  it('powers the VM off if any of the shutdowns asked for it', async () => {
    const harness = await ROAD.idle();
    await harness.send(events.shutdown('shutdown-1', { poweroff: true }), events.shutdown('shutdown-2'));
    await letItEnd(harness);
    expect(harness.output()).toMatchObject({ poweroff: true });
    expect(harness.timesAsked('powerOff')).toBe(1);
  });

  it('a flush that breaks does not keep the MIGlet from ending', async () => {
    const harness = await ROAD.flushing();
    await harness.reject('flush', 'disk full');
    expect(harness.output()).toMatchObject({ outcome: 'drained' });
  });

  it('says when it ends, and that a job was cut short, before the stream is closed', async () => {
    const harness = await ROAD.busy();
    await harness.send(events.shutdown('shutdown-1', { force: true }));
    await harness.answer('deregister', deleted).catch(() => undefined);
    await harness.runnerTells(events.exited(undefined, 'SIGKILL'));
    if (harness.isAsked('deregister')) await harness.answer('deregister', deleted);
    expect(harness.emitted.at(-1)).toEqual({
      type: 'vm_shutting_down',
      data: { outcome: 'forced', reason: 'SIGTERM' },
    });
    expect([harness.lifecycle(), harness.link()]).toEqual(['shutdown.flushing', 'open.online']);
  });

  it('asked for again with poweroff while it is flushing, powers the VM off', async () => {
    const harness = await ROAD.drained();
    await harness.send(events.shutdown('shutdown-1'));
    await harness.send(events.shutdown('shutdown-2', { poweroff: true }));
    expect(harness.resultsOf('shutdown-2')).toMatchObject([{ success: true }]);
    await harness.answer('flush', undefined);
    expect(harness.isAsked('powerOff')).toBe(true);
  });
});
