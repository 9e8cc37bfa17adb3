import { describe, expect, it } from '@jest/globals';
import { ok } from '@mig/common/outcome';
import { createHarness, deregisterAnswer, events, LIMITS, ROAD, type Harness } from './harness.contract.js';

const deleted = deregisterAnswer('deleted');
const busy = deregisterAnswer('busy');
const unavailable = deregisterAnswer('unavailable');

/** Busy, told to drain, and refused by GitHub. */
async function finishingJob(deadlineMs?: number): Promise<Harness> {
  const harness = await ROAD.busy();
  await harness.send(events.drain('drain-1', { deadlineMs }));
  await harness.answer('deregister', busy);
  return harness;
}

describe('drain of an idle VM', () => {
  it('deletes the registration, then stops the runner, then answers', async () => {
    const harness = await ROAD.deregistering();
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.deregistering', ['start']]);
    await harness.answer('deregister', deleted);
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.stoppingRunner', ['start', 'stop']]);
    expect(harness.resultsOf('drain-1')).toEqual([]);
    await harness.runnerTells(events.exited(undefined, 'SIGINT'));
    expect(harness.lifecycle()).toBe('draining.drained');
    expect(harness.resultsOf('drain-1')).toEqual([{ id: 'drain-1', success: true, message: 'drained' }]);
    expect(harness.emittedTypes()).toEqual(['runner_registered', 'draining', 'runner_exited']);
    expect(harness.drainedMemory).toEqual([true]);
  });

  it('never stops the runner while GitHub may still hand it a job', async () => {
    const harness = await ROAD.deregistering();
    for (const answer of [busy, unavailable, busy, unavailable, unavailable, unavailable, unavailable]) {
      await harness.answer('deregister', answer);
      expect([harness.lifecycle(), harness.requests]).toEqual(['draining.waitingToAsk', ['start']]);
      await harness.advance(LIMITS.deregisterRetryMs);
    }
    await harness.reject('deregister', 'stream reset');
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.waitingToAsk', ['start']]);
  });

  it('a controller that has no GitHub leaves nothing to delete: the runner is stopped', async () => {
    const harness = await ROAD.deregistering();
    await harness.answer('deregister', deregisterAnswer('notManaged'));
    expect(harness.requests).toEqual(['start', 'stop']);
  });

  it('a job that starts between is let finish, and then GitHub is asked again', async () => {
    const harness = await ROAD.deregistering();
    await harness.answer('deregister', unavailable);
    await harness.runnerTells(events.jobStarted());
    expect(harness.lifecycle()).toBe('draining.deregistering');
    await harness.answer('deregister', busy);
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.finishingJob', ['start']]);
    await harness.runnerTells(events.jobFinished());
    await harness.answer('deregister', deleted);
    expect(harness.requests).toEqual(['start', 'stop']);
  });

  it('a job that starts while GitHub is asked is let finish, whatever GitHub says', async () => {
    for (const answer of [deleted, busy, unavailable, deregisterAnswer('notManaged')]) {
      const harness = await ROAD.deregistering();
      await harness.runnerTells(events.jobStarted());
      await harness.answer('deregister', answer);
      await harness.advance(LIMITS.deregisterRetryMs + LIMITS.stopGraceMs);
      expect([harness.lifecycle(), harness.requests]).toEqual(['draining.finishingJob', ['start']]);
    }
  });

  it('a job that starts when the runner is told to end is not killed with it (I5)', async () => {
    const harness = await ROAD.stoppingRunner();
    await harness.runnerTells(events.jobStarted());
    await harness.advance(LIMITS.stopGraceMs * 10);
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.finishingJob', ['start', 'stop']]);
    await harness.runnerTells(events.jobFinished(), events.exited(0));
    expect(harness.lifecycle()).toBe('draining.drained');
  });

  it('with the controller away it waits, and goes on when the controller is back', async () => {
    const harness = await ROAD.idle();
    await harness.linkTells(events.down());
    await harness.send(events.drain('drain-1'));
    for (let hour = 0; hour < 24; hour += 1) {
      await harness.answer('deregister', unavailable);
      await harness.advance(3_600_000);
    }
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.deregistering', ['start']]);
    await harness.answer('deregister', unavailable);
    while (!harness.isLinkOpen()) {
      await harness.advance(1_000);
      if (harness.isAsked('deregister')) await harness.answer('deregister', unavailable);
    }
    await harness.linkTells(events.up());
    expect(harness.lifecycle()).toBe('draining.deregistering');
    await harness.answer('deregister', deleted);
    expect(harness.lifecycle()).toBe('draining.stoppingRunner');
  });

  it('a runner that ended by itself leaves a registration: it is asked for, and then left to the controller', async () => {
    const harness = await ROAD.deregistering();
    await harness.runnerTells(events.exited(0));
    for (let failure = 0; failure < LIMITS.maxDeregisterFailures; failure += 1) {
      expect(harness.lifecycle()).toBe('draining.deregistering');
      await harness.answer('deregister', unavailable);
      await harness.advance(LIMITS.deregisterRetryMs);
    }
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.drained', ['start']]);
    expect(harness.resultsOf('drain-1')).toMatchObject([{ success: true }]);
  });

  it('of a VM that starts its runner answers the registration as failed', async () => {
    const harness = await ROAD.starting();
    await harness.send(events.drain('drain-1'));
    expect(harness.settled).toEqual([
      { id: 'register-1', success: false, message: 'the VM is drained instead' },
    ]);
    await harness.answer('deregister', deleted);
    expect(harness.requests).toEqual(['start', 'stop']);
  });

  it('a runner whose process comes up after its VM was drained is taken out again', async () => {
    const harness = await ROAD.configuring();
    await harness.send(events.drain('drain-1'));
    await harness.answer('deregister', deleted);
    expect(harness.lifecycle()).toBe('draining.drained');
    await harness.runnerTells(events.started());
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.drained', ['stop']]);
    expect(harness.resultsOf('drain-1')).toHaveLength(1);
  });
});

describe('drain of a busy VM', () => {
  it('lets the job end, then deletes the registration, then stops the runner', async () => {
    const harness = await finishingJob();
    expect(harness.emitted.at(-1)).toEqual({
      type: 'draining',
      data: { reason: 'an operator asked', job: 'build' },
    });
    await harness.advance(5 * 86_400_000);
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.finishingJob', ['start']]);
    await harness.runnerTells(events.jobFinished());
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.deregistering', ['start']]);
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.drained', ['start', 'stop']]);
  });

  it('asks again when the controller is back, and goes on waiting for the job', async () => {
    const harness = await finishingJob();
    await harness.linkTells(events.down());
    await harness.advance(5_000);
    await harness.linkTells(events.up());
    expect(harness.timesAsked('deregister')).toBe(2);
    await harness.answer('deregister', busy);
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.finishingJob', ['start']]);
  });

  it('a runner that crashes with its job is told of, and the drain ends', async () => {
    const harness = await finishingJob();
    await harness.runnerTells(events.exited(137));
    await harness.answer('deregister', deleted);
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.drained', ['start']]);
    expect(harness.emitted.at(-1)).toEqual({
      type: 'runner_crashed',
      data: { exit_code: '137', job: 'build', job_id: 'vm-1-build' },
    });
  });

  it('force ends the job, at first with a request, then by killing it', async () => {
    const harness = await finishingJob();
    await harness.send(events.drain('drain-2', { force: true }));
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.stoppingRunner', ['start', 'stop']]);
    await harness.advance(LIMITS.stopGraceMs);
    expect(harness.requests).toEqual(['start', 'stop', 'kill']);
    await harness.runnerTells(events.exited(undefined, 'SIGKILL'));
    await harness.answer('deregister', deleted);
    const message = 'drained by force';
    expect(harness.settled.slice(1)).toEqual([
      { id: 'drain-1', success: true, message },
      { id: 'drain-2', success: true, message },
    ]);
  });

  it('force with the controller away waits for it not as long as a calm drain, and says what is left at GitHub', async () => {
    const harness = await ROAD.busy();
    await harness.linkTells(events.down());
    await harness.send(events.drain('drain-1', { force: true }));
    await harness.runnerTells(events.exited(0));
    for (let failure = 0; failure < LIMITS.maxForcedDeregisterFailures; failure += 1) {
      await harness.answer('deregister', unavailable);
      await harness.advance(LIMITS.deregisterRetryMs);
    }
    expect(harness.lifecycle()).toBe('draining.drained');
    expect(harness.resultsOf('drain-1')).toMatchObject([
      { success: true, message: expect.stringContaining('could not be asked to delete vm-1') },
    ]);
    expect(harness.leftOf('drain-1')).toBe('vm-1');
  });

  it('force is not taken back by a calm drain that follows', async () => {
    const harness = await ROAD.busy();
    await harness.send(events.drain('drain-1', { force: true }), events.drain('drain-2'));
    expect(harness.lifecycle()).toBe('draining.stoppingRunner');
    await harness.runnerTells(events.exited(0));
    await harness.answer('deregister', deleted);
    expect(harness.resultsOf('drain-2')).toMatchObject([{ message: 'drained by force' }]);
  });

  it('force ends with its drain: the next job of a VM that was brought back is let finish', async () => {
    const harness = await ROAD.busy();
    await harness.send(events.drain('drain-1', { force: true }));
    await harness.runnerTells(events.exited(0));
    await harness.answer('deregister', deleted);
    await harness.send(events.register('register-2'));
    await harness.answer('configureRunner', ok(undefined));
    await harness.runnerTells(events.started(), events.listening(), events.jobStarted());
    await harness.send(events.drain('drain-2'));
    await harness.answer('deregister', busy);
    expect([harness.lifecycle(), harness.requests]).toEqual([
      'draining.finishingJob',
      ['start', 'stop', 'start'],
    ]);
  });

  it('a runner that was told to end once can still crash when it is brought back', async () => {
    const harness = await ROAD.drained();
    await harness.send(events.register('register-2'));
    await harness.answer('configureRunner', ok(undefined));
    await harness.runnerTells(events.started(), events.listening(), events.exited(1));
    expect([harness.lifecycle(), harness.emittedTypes().at(-1)]).toEqual([
      'registering.backingOff',
      'runner_crashed',
    ]);
  });

  it('a second force, or any other order, does not put off the end of the runner', async () => {
    const harness = await ROAD.busy();
    await harness.send(events.drain('drain-1', { force: true }));
    await harness.advance(LIMITS.stopGraceMs - 1);
    await harness.send(events.drain('drain-2', { force: true }));
    await harness.send(events.drain('drain-3'), events.shutdown('shutdown-1', { force: true }));
    expect(harness.requests).toEqual(['start', 'stop']);
    await harness.advance(1);
    expect(harness.requests).toEqual(['start', 'stop', 'kill']);
  });
});

describe('deadline of a drain', () => {
  it('comes from the settings if the drain names none', async () => {
    const harness = await ROAD.busy({ settings: { drainDeadlineMs: 70_000 } });
    await harness.send(events.drain('drain-1'));
    await harness.advance(69_999);
    expect(harness.requests).toEqual(['start']);
    await harness.advance(1);
    expect(harness.requests).toEqual(['start', 'stop']);
  });

  it('a later drain that names none does not put it off', async () => {
    const harness = await finishingJob(60_000);
    await harness.advance(50_000);
    await harness.send(events.drain('drain-2'));
    await harness.answer('deregister', busy);
    await harness.advance(10_000);
    expect(harness.requests).toEqual(['start', 'stop']);
  });

  it.each([0, 90_000, 60_000])('a later drain with %d ms does not put it off', async (deadlineMs) => {
    const harness = await finishingJob(60_000);
    await harness.advance(1_000);
    await harness.send(events.drain('drain-2', { deadlineMs }));
    await harness.advance(59_000);
    expect(harness.requests).toEqual(['start', 'stop']);
  });

  it('a shorter one counts from when it was named, and the first that ends wins', async () => {
    const sooner = await finishingJob(60_000);
    await sooner.send(events.drain('drain-2', { deadlineMs: 10_000 }));
    await sooner.advance(10_000);
    expect(sooner.requests).toEqual(['start', 'stop']);
    const later = await finishingJob(60_000);
    await later.advance(55_000);
    await later.send(events.drain('drain-2', { deadlineMs: 10_000 }));
    await later.advance(5_000);
    expect(later.requests).toEqual(['start', 'stop']);
  });

  it('ends with its drain: a VM that is drained in time was not forced', async () => {
    const harness = await ROAD.idle();
    await harness.send(
      events.drain('drain-1', { deadlineMs: 60_000 }),
      events.drain('d2', { deadlineMs: 50_000 }),
    );
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    await harness.advance(60_000);
    await harness.send(events.shutdown('shutdown-1'));
    await harness.answer('flush', undefined);
    expect(harness.output()).toMatchObject({ outcome: 'drained' });
  });

  it('does not touch a VM that was brought back', async () => {
    const harness = await ROAD.idle();
    await harness.send(events.drain('drain-1', { deadlineMs: 60_000 }));
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    await harness.send(events.register('register-2'));
    await harness.runnerTells(events.started());
    await harness.advance(60_000);
    expect(harness.dropped).toEqual([]);
    expect(harness.context().forced).toBe(false);
  });
});

describe('drain, the commands', () => {
  it('keeps the first reason and answers every drain', async () => {
    const harness = await finishingJob();
    await harness.send(events.drain('drain-2', { reason: 'another reason' }));
    expect(harness.context().drain?.reason).toBe('an operator asked');
    await harness.answer('deregister', busy);
    await harness.runnerTells(events.jobFinished());
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    expect(harness.settled.slice(1).map(({ id }) => id)).toEqual(['drain-1', 'drain-2']);
  });

  it('a VM that is drained answers a further drain at once', async () => {
    const harness = await ROAD.drained();
    await harness.send(events.drain('drain-2'));
    expect([harness.lifecycle(), harness.resultsOf('drain-2')]).toEqual([
      'draining.drained',
      [{ id: 'drain-2', success: true, message: 'drained' }],
    ]);
    expect(harness.resultsOf('drain-1')).toHaveLength(1);
  });

  it('a job that comes in when the runner is told to end has all its time, also if it is told again later', async () => {
    const harness = await ROAD.stoppingRunner();
    await harness.advance(LIMITS.stopGraceMs - 1);
    await harness.runnerTells(events.jobStarted());
    await harness.advance(LIMITS.stopGraceMs);
    expect(harness.requests).toEqual(['start', 'stop']);
    await harness.runnerTells(events.jobFinished());
    expect(harness.requests).toEqual(['start', 'stop', 'stop']);
    await harness.advance(LIMITS.stopGraceMs - 1);
    expect(harness.requests).toEqual(['start', 'stop', 'stop']);
    await harness.advance(1);
    expect(harness.requests).toEqual(['start', 'stop', 'stop', 'kill']);
  });

  it('a VM that drains takes no registration, and says what would help; one that is drained is brought back by it', async () => {
    const harness = await ROAD.deregistering();
    await harness.send(events.register('register-2'));
    expect(harness.resultsOf('register-2')).toMatchObject([
      { success: false, message: expect.stringContaining('undrain it first') },
    ]);
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.exited(0));
    await harness.send(events.register('register-3'));
    expect([harness.lifecycle(), harness.drainedMemory]).toEqual(['registering.configuring', [true, false]]);
  });

  it('a VM that boots and is drained at once stays so when it is announced', async () => {
    const harness = createHarness();
    await harness.send(events.drain('drain-1'));
    expect(harness.resultsOf('drain-1')).toMatchObject([{ success: true }]);
    await harness.send({ type: 'announced' });
    expect(harness.lifecycle()).toBe('draining.drained');
  });
});
