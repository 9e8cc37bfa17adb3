import { describe, expect, it } from '@jest/globals';
import { ok, retryable } from '@mig/common/outcome';
import { createHarness, deregisterAnswer, events, LIMITS, ROAD, type Harness } from './harness.contract.js';
import { statusOf } from './status.js';

const deleted = deregisterAnswer('deleted');
const busy = deregisterAnswer('busy');
const reason = (harness: Harness): string => statusOf(harness.actor.getSnapshot()).reason;

/** Busy, told to drain, and refused by GitHub. */
async function finishingJob(drain: Parameters<typeof events.drain>[1] = {}): Promise<Harness> {
  const harness = await ROAD.busy();
  await harness.send(events.drain('drain-1', drain));
  await harness.answer('deregister', busy);
  return harness;
}
/** From where the drain was taken back, with a runner that is idle, to ready. */
async function replaced(harness: Harness, id: string): Promise<void> {
  if (harness.isAsked('deregister')) await harness.answer('deregister', deleted);
  await harness.runnerTells(events.exited(0));
  expect(harness.lifecycle()).toBe('registering.awaitingCommand');
  await harness.send(events.register(id));
  await harness.answer('configureRunner', ok(undefined));
  await harness.runnerTells(events.started(), events.listening());
}

describe('undrain of a VM whose job runs', () => {
  it('lets the job end in peace, replaces the runner, and registers again', async () => {
    const harness = await finishingJob({ deadlineMs: 60_000 });
    await harness.send(events.undrain('undrain-1'));
    expect(reason(harness)).toBe('undrained: registers again when job build has ended');
    await harness.answer('deregister', busy);
    await harness.advance(5 * 86_400_000);
    expect([harness.lifecycle(), harness.requests]).toEqual(['registering.clearing.finishingJob', ['start']]);
    expect(reason(harness)).toBe('undrained: registers again when job build has ended');
    await harness.runnerTells(events.jobFinished());
    expect(reason(harness)).toBe('undrained: registers again when its runner is replaced');
    await replaced(harness, 'register-2');
    expect([harness.lifecycle(), harness.requests, reason(harness)]).toEqual([
      'ready.idle',
      ['start', 'stop', 'start'],
      '',
    ]);
    expect(harness.dropped).toEqual([]);
  });

  it('answers the drain as taken back, with the reason, and itself with what comes next', async () => {
    const harness = await finishingJob();
    await harness.send(events.drain('drain-2'), events.undrain('undrain-1', 'the kernel is patched'));
    expect(harness.settled.slice(1)).toEqual([
      { id: 'drain-1', success: false, message: 'taken back: the kernel is patched' },
      { id: 'drain-2', success: false, message: 'taken back: the kernel is patched' },
      { id: 'undrain-1', success: true, message: 'undrained: registers again when job build has ended' },
    ]);
    expect(harness.codes).toEqual({ 'drain-1': 'undrained', 'drain-2': 'undrained' });
  });

  it('is remembered over a restart before anybody hears of it', async () => {
    const order: string[] = [];
    const harness = await finishingJob();
    const { length } = harness.settled;
    const { push } = Array.prototype;
    harness.drainedMemory.push = (...values) => {
      order.push(`remembered ${String(values[0])} when ${harness.settled.length - length} were answered`);
      return push.apply(harness.drainedMemory, values);
    };
    await harness.send(events.undrain('undrain-1'));
    expect(order).toEqual(['remembered false when 0 were answered']);
  });

  it('a job that is being ended by force cannot be saved: it is ended, and the VM says so and comes back', async () => {
    const harness = await ROAD.busy();
    await harness.send(events.drain('drain-1', { force: true }));
    await harness.advance(LIMITS.stopGraceMs - 1);
    await harness.send(events.undrain('undrain-1'));
    expect(harness.resultsOf('undrain-1')).toMatchObject([
      { success: true, message: expect.stringContaining('job build is being ended already') },
    ]);
    await harness.advance(1);
    expect(harness.requests).toEqual(['start', 'stop', 'kill']);
    await harness.runnerTells(events.exited(undefined, 'SIGKILL'));
    await harness.answer('deregister', deleted);
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
    // Force ended with the drain that brought it.
    await harness.send(events.register('register-2'));
    await harness.answer('configureRunner', ok(undefined));
    await harness.runnerTells(events.started(), events.listening(), events.jobStarted());
    await harness.send(events.drain('drain-2'));
    await harness.answer('deregister', busy);
    expect(harness.lifecycle()).toBe('draining.finishingJob');
  });

  it('a drain that comes again takes effect again', async () => {
    const harness = await finishingJob();
    await harness.send(events.undrain('undrain-1'));
    await harness.answer('deregister', busy);
    await harness.send(events.drain('drain-2', { reason: 'again' }));
    await harness.answer('deregister', busy);
    expect([harness.lifecycle(), harness.context().drain?.reason]).toEqual([
      'draining.finishingJob',
      'again',
    ]);
    await harness.runnerTells(events.jobFinished());
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    expect([harness.lifecycle(), harness.drainedMemory]).toEqual(['draining.drained', [true, false, true]]);
    expect(harness.resultsOf('drain-2')).toMatchObject([{ success: true }]);
  });

  it('a shutdown that comes then is one: the VM does not register again', async () => {
    const harness = await finishingJob();
    await harness.send(events.undrain('undrain-1'), events.shutdown('shutdown-1'));
    await harness.answer('deregister', busy);
    await harness.runnerTells(events.jobFinished());
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    expect(harness.lifecycle()).toBe('shutdown.flushing');
  });
});

describe('undrain of a VM without a job', () => {
  it('whose registration is being deleted has its runner replaced', async () => {
    const harness = await ROAD.deregistering();
    await harness.send(events.undrain('undrain-1'));
    expect(harness.resultsOf('undrain-1')).toMatchObject([
      { message: 'undrained: registers again when its runner is replaced' },
    ]);
    await harness.answer('deregister', deleted);
    await replaced(harness, 'register-2');
    expect(harness.lifecycle()).toBe('ready.idle');
  });

  it('whose runner is told to end does not put that off', async () => {
    const harness = await ROAD.stoppingRunner();
    await harness.advance(LIMITS.stopGraceMs - 1);
    await harness.send(events.undrain('undrain-1'));
    expect(harness.lifecycle()).toBe('registering.clearing.stoppingRunner');
    await harness.advance(1);
    expect(harness.requests).toEqual(['start', 'stop', 'kill']);
  });

  it('that is drained registers again at once', async () => {
    const harness = await ROAD.drained();
    await harness.send(events.undrain('undrain-1'));
    expect([harness.lifecycle(), harness.drainedMemory, reason(harness)]).toEqual([
      'registering.awaitingCommand',
      [true, false],
      '',
    ]);
    expect(harness.resultsOf('undrain-1')).toMatchObject([
      { success: true, message: 'undrained: registers again' },
    ]);
  });

  it('says why it waits to register, also while GitHub cannot be asked', async () => {
    const harness = await ROAD.deregistering();
    await harness.send(events.undrain('undrain-1'));
    await harness.answer('deregister', deregisterAnswer('unavailable'));
    expect(reason(harness)).toBe(
      'undrained: registers again when its runner is replaced (GitHub says unavailable)',
    );
  });

  it('that was drained before its MIGlet was restarted, and has not been announced, is not drained any more', async () => {
    const harness = createHarness({ drained: true });
    await harness.send(events.undrain('undrain-1'));
    expect([harness.lifecycle(), harness.drainedMemory]).toEqual(['booting', [false]]);
    await harness.answer('announce', ok(undefined));
    await harness.linkTells(events.up());
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
  });
});

describe('undrain that changes nothing', () => {
  it.each(
    Object.entries({
      'registering.awaitingCommand': ROAD.awaitingCommand,
      'registering.configuring': ROAD.configuring,
      'registering.starting': ROAD.starting,
      'ready.idle': ROAD.idle,
      'ready.busy': ROAD.busy,
    }),
  )('in %s is answered so', async (phase, begin) => {
    const harness = await begin();
    await harness.send(events.undrain('undrain-1'));
    expect([harness.lifecycle(), harness.drainedMemory]).toEqual([phase, []]);
    expect(harness.resultsOf('undrain-1')).toMatchObject([
      { success: true, message: expect.stringContaining('not draining') },
    ]);
  });

  it('twice is once: the second finds no drain', async () => {
    const harness = await finishingJob();
    await harness.send(events.undrain('undrain-1'), events.undrain('undrain-2'));
    expect(harness.resultsOf('undrain-2')).toMatchObject([{ success: true }]);
    expect(harness.drainedMemory).toEqual([true, false]);
  });

  it('a VM that shuts down is not brought back, wherever it is on its way', async () => {
    const waiting = await finishingJob();
    await waiting.send(events.shutdown('shutdown-1'));
    const flushing = await ROAD.flushing();
    const failing = await ROAD.idle({ limits: { maxRegistrationFailures: 1 } });
    await failing.runnerTells(events.exited(1));
    for (const harness of [waiting, flushing, failing]) {
      const before = harness.lifecycle();
      const remembered = [...harness.drainedMemory];
      await harness.send(events.undrain('undrain-1'));
      expect([harness.lifecycle(), harness.drainedMemory]).toEqual([before, remembered]);
      expect(harness.resultsOf('undrain-1')).toMatchObject([
        { success: false, message: expect.stringContaining('shutting down') },
      ]);
      expect(harness.codes['undrain-1']).toBe('shutting-down');
    }
  });
});

describe('a VM that has not reached its controller', () => {
  const FENCED = { limits: { fenceAfterMs: 600_000 } };

  it('drains itself, once, and says for how long it was alone', async () => {
    const harness = await ROAD.idle(FENCED);
    await harness.linkTells(events.down());
    await harness.advance(600_000);
    expect(harness.emitted.at(-1)).toEqual({
      type: 'draining',
      data: { reason: 'the controller was not reached for 10 min' },
    });
    await harness.answer('deregister', deregisterAnswer('unavailable'));
    await harness.advance(6 * 3_600_000);
    expect(harness.emittedTypes().filter((type) => type === 'draining')).toHaveLength(1);
    // An idle runner may be handed a job by GitHub: without the controller it is not stopped (I5).
    expect(harness.requests).toEqual(['start']);
  });

  it('lets its job run as long as it takes, whatever the deadline of the settings (I5)', async () => {
    const harness = await ROAD.busy({ ...FENCED, settings: { drainDeadlineMs: 60_000 } });
    await harness.linkTells(events.down());
    await harness.advance(600_000);
    await harness.answer('deregister', deregisterAnswer('unavailable'));
    await harness.advance(5 * 86_400_000);
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.finishingJob', ['start']]);
  });

  it('stays drained when the controller is back, until it is undrained', async () => {
    const harness = await ROAD.idle(FENCED);
    await harness.linkTells(events.down());
    await harness.advance(600_000);
    await harness.linkTells(events.up());
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    expect(harness.lifecycle()).toBe('draining.drained');
    await harness.send(events.undrain('undrain-1'));
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
  });

  it('counts from the last moment it was connected: attempts that fail do not begin anew, a stream that comes up does', async () => {
    const harness = await ROAD.idle(FENCED);
    await harness.linkTells(events.down());
    for (let minute = 0; minute < 9; minute += 1) {
      await harness.advance(60_000);
      await harness.linkTells(events.down());
    }
    expect(harness.lifecycle()).toBe('ready.idle');
    await harness.advance(30_000);
    await harness.linkTells(events.up());
    await harness.linkTells(events.down());
    await harness.advance(599_999);
    expect(harness.lifecycle()).toBe('ready.idle');
    await harness.advance(1);
    expect(harness.lifecycle()).toBe('draining.deregistering');
  });

  it('and has no runner has nothing to fence: it registers when the controller comes', async () => {
    const harness = createHarness(FENCED);
    await harness.answer('announce', retryable('connection refused'));
    await harness.advance(3_600_000);
    await harness.answer('announce', ok(undefined));
    await harness.linkTells(events.up());
    expect([harness.lifecycle(), harness.drainedMemory]).toEqual(['registering.awaitingCommand', []]);
  });

  it('since it was started drains what an earlier MIGlet left, too', async () => {
    const harness = createHarness({ ...FENCED, leftover: [events.started(), events.listening()] });
    await harness.answer('announce', retryable('connection refused'));
    await harness.advance(600_000);
    expect(harness.lifecycle()).toBe('draining.deregistering');
  });

  it('is left alone if nobody has asked for it', async () => {
    const harness = await ROAD.idle();
    await harness.linkTells(events.down());
    await harness.advance(30 * 86_400_000);
    expect(harness.lifecycle()).toBe('ready.idle');
  });
});
