import { describe, expect, it } from '@jest/globals';
import { fatal, ok, retryable } from '@mig/common/outcome';
import {
  createHarness,
  deregisterAnswer,
  events,
  LIMITS,
  ROAD,
  RUNNER,
  type Harness,
} from './harness.contract.js';

async function crash(harness: Harness): Promise<void> {
  await harness.runnerTells(events.exited(1));
}
/** From `backingOff` with nothing to register with, to ready. */
async function registeredAgain(harness: Harness, id: string): Promise<void> {
  await harness.advance(LIMITS.registrationBackoff.maxMs);
  await harness.answer('deregister', deregisterAnswer('deleted'));
  await harness.send(events.register(id));
  await harness.answer('configureRunner', ok(undefined));
  await harness.runnerTells(events.started(), events.listening());
}

describe('boot', () => {
  it('a VM that boots announces itself, connects, takes its registration and is ready', async () => {
    const harness = createHarness();
    const path = [harness.lifecycle()];
    harness.actor.subscribe(() => {
      if (harness.lifecycle() !== path.at(-1)) path.push(harness.lifecycle());
    });
    await harness.answer('announce', ok(undefined));
    await harness.linkTells(events.up());
    await harness.send(events.register('register-1'));
    await harness.answer('configureRunner', ok(undefined));
    await harness.runnerTells(events.started(), events.listening());
    expect(path).toEqual([
      'booting',
      'registering.connecting',
      'registering.awaitingCommand',
      'registering.configuring',
      'registering.starting',
      'ready.idle',
    ]);
    expect(harness.emitted).toEqual([
      { type: 'runner_registered', data: { runner_name: 'vm-1', labels: 'linux' } },
    ]);
    expect(harness.settled).toEqual([
      { id: 'register-1', success: true, message: 'the runner is registered and listens for jobs' },
    ]);
    expect(harness.dropped).toEqual([]);
  });

  it('a VM that the controller refuses for good ends as failed, and says why', async () => {
    const harness = createHarness();
    await harness.answer('announce', fatal('pool p9 is not known'));
    expect(harness.lifecycle()).toBe('shutdown.flushing');
    await harness.answer('flush', undefined);
    expect(harness.output()).toEqual({ outcome: 'failed', reason: 'pool p9 is not known', poweroff: false });
    expect(harness.timesEnded()).toBe(1);
  });

  it('a VM that is refused while a runner of an earlier MIGlet works lets its job end before it ends itself (I5)', async () => {
    const harness = createHarness({ leftover: [events.started(), events.listening(), events.jobStarted()] });
    await harness.answer('announce', fatal('pool p9 is not known'));
    await harness.answer('deregister', deregisterAnswer('unavailable'));
    await harness.advance(3_600_000);
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.finishingJob', []]);
    await harness.runnerTells(events.jobFinished(), events.exited(0));
    for (let failure = 0; failure < LIMITS.maxDeregisterFailures; failure += 1) {
      await harness.answer('deregister', deregisterAnswer('unavailable'));
      await harness.advance(LIMITS.deregisterRetryMs);
    }
    await harness.answer('flush', undefined);
    expect(harness.output()).toEqual({ outcome: 'failed', reason: 'pool p9 is not known', poweroff: false });
  });

  it('an announcement that breaks is an announcement to repeat', async () => {
    const harness = createHarness();
    await harness.reject('announce', 'socket hang up');
    expect([harness.lifecycle(), harness.link()]).toEqual(['booting', 'announcing.waiting']);
    await harness.advance(5_000);
    await harness.answer('announce', ok(undefined));
    expect(harness.lifecycle()).toBe('registering.connecting');
  });

  it('a drain that goes on after a restart has its own reason', async () => {
    const harness = createHarness({ drained: true });
    expect(harness.context().drain?.reason).toBe('drained before the MIGlet was restarted');
    await harness.send(events.drain('drain-1', { reason: 'new image' }), events.drain('drain-2'));
    expect(harness.context().drain?.reason).toBe('new image');
  });

  it('a VM that was drained before its MIGlet was restarted stays drained, and can be brought back', async () => {
    const harness = await ROAD.announced({ drained: true });
    expect(harness.lifecycle()).toBe('draining.drained');
    await harness.linkTells(events.up());
    expect(harness.lifecycle()).toBe('draining.drained');
    await harness.send(events.register('register-1'));
    expect([harness.lifecycle(), harness.drainedMemory]).toEqual(['registering.configuring', [true, false]]);
  });
});

describe('register', () => {
  it('hands the registration to config.sh and to the runner', async () => {
    const harness = await ROAD.awaitingCommand();
    await harness.send(events.register('register-1', { jitConfig: 'a-jit-config' }));
    const registration = expect.objectContaining({ commandId: 'register-1', jitConfig: 'a-jit-config' });
    expect(harness.calls.at(-1)).toEqual({ port: 'configureRunner', input: { registration } });
    await harness.answer('configureRunner', ok(undefined));
    expect(harness.started).toEqual([{ type: 'start', registration }]);
  });

  it('a VM that is ready answers that it is registered already, and changes nothing', async () => {
    for (const harness of [await ROAD.idle(), await ROAD.busy()]) {
      const before = harness.lifecycle();
      await harness.send(events.register('register-2'));
      expect(harness.lifecycle()).toBe(before);
      expect(harness.resultsOf('register-2')).toEqual([
        { id: 'register-2', success: true, message: 'already registered as vm-1' },
      ]);
      expect(harness.requests).toEqual(['start']);
    }
  });

  it('a newer registration takes the place of one that is tried, which is answered', async () => {
    const harness = await ROAD.configuring();
    await harness.answer('configureRunner', retryable('GitHub is away'));
    await harness.send(events.register('register-2', { token: 'a-newer-token' }));
    expect(harness.resultsOf('register-1')).toEqual([
      { id: 'register-1', success: false, message: 'a newer registration took its place' },
    ]);
    await harness.advance(LIMITS.registrationBackoff.firstMs);
    expect(harness.calls.at(-1)?.input).toMatchObject({ registration: { token: 'a-newer-token' } });
  });

  it('keeps no token once the runner is ready (I8)', async () => {
    const harness = await ROAD.idle();
    expect(JSON.stringify(harness.context())).not.toContain('a-token');
  });

  it('a token that GitHub refuses is answered and not tried again; the next registration is', async () => {
    const harness = await ROAD.configuring();
    await harness.answer('configureRunner', fatal('Http response code: NotFound'));
    expect(harness.settled).toEqual([
      { id: 'register-1', success: false, message: 'Http response code: NotFound' },
    ]);
    await harness.advance(LIMITS.registrationBackoff.firstMs);
    // It was refused, as far as we know: whether GitHub has it, GitHub says.
    await harness.answer('deregister', deregisterAnswer('deleted'));
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
    await harness.send(events.register('register-2'));
    expect(harness.lifecycle()).toBe('registering.configuring');
  });

  it('a VM that cannot be registered is given up after its last try, and its command answered once', async () => {
    const harness = await ROAD.configuring();
    for (let attempt = 1; attempt <= LIMITS.maxRegistrationFailures; attempt += 1) {
      await harness.answer('configureRunner', retryable(`attempt ${attempt}`));
      await harness.advance(attempt < LIMITS.maxRegistrationFailures ? LIMITS.registrationBackoff.maxMs : 0);
    }
    await harness.answer('deregister', deregisterAnswer('deleted'));
    await harness.answer('flush', undefined);
    expect(harness.settled).toEqual([{ id: 'register-1', success: false, message: 'attempt 3' }]);
    expect(harness.output()).toEqual({ outcome: 'failed', reason: 'attempt 3', poweroff: false });
  });

  it('a runner that starts and never listens counts as a failure: the VM is given up in the end', async () => {
    const harness = await ROAD.awaitingCommand();
    for (let attempt = 1; attempt <= LIMITS.maxRegistrationFailures; attempt += 1) {
      await harness.send(events.register(`register-${attempt}`));
      await harness.answer('configureRunner', ok(undefined));
      await harness.runnerTells(events.started());
      await harness.advance(LIMITS.startTimeoutMs);
      await harness.answer('deregister', deregisterAnswer('deleted'));
      await harness.runnerTells(events.exited(0));
    }
    await harness.answer('flush', undefined);
    const message = 'the runner did not listen for jobs in time';
    expect(harness.settled).toEqual([1, 2, 3].map((n) => ({ id: `register-${n}`, success: false, message })));
    expect(harness.output()).toMatchObject({ outcome: 'failed', reason: message });
  });
});

describe('crash', () => {
  it('a runner that crashes is told of, waited for, and registered again', async () => {
    const harness = await ROAD.busy();
    await crash(harness);
    expect(harness.emitted.at(-1)).toEqual({
      type: 'runner_crashed',
      data: { exit_code: '1', job: 'build', job_id: 'vm-1-build' },
    });
    expect(harness.lifecycle()).toBe('registering.backingOff');
    await registeredAgain(harness, 'register-2');
    expect([harness.lifecycle(), harness.context().job]).toEqual(['ready.idle', undefined]);
    expect(harness.resultsOf('register-2')).toMatchObject([{ success: true }]);
  });

  it('a runner that was killed by a signal has crashed, and the event names the signal', async () => {
    const harness = await ROAD.idle();
    await harness.runnerTells({ type: 'runner.exited', code: undefined, signal: 'SIGSEGV' });
    expect(harness.emitted.at(-1)).toEqual({ type: 'runner_crashed', data: { signal: 'SIGSEGV' } });
    expect(harness.lifecycle()).toBe('registering.backingOff');
  });

  it('a runner that crashes again and again ends its VM as failed', async () => {
    const harness = await ROAD.idle();
    await crash(harness);
    await registeredAgain(harness, 'register-2');
    await crash(harness);
    await registeredAgain(harness, 'register-3');
    await crash(harness);
    expect(harness.lifecycle()).toBe('draining.deregistering');
    await harness.answer('deregister', deregisterAnswer('deleted'));
    await harness.answer('flush', undefined);
    expect(harness.output()).toEqual({
      outcome: 'failed',
      reason: 'the runner crashed (exit code 1)',
      poweroff: false,
    });
  });

  it('whoever watches the runner fails: the MIGlet goes on, and ends nothing', async () => {
    const harness = await ROAD.configuring({ brokenRunner: true });
    await harness.answer('configureRunner', ok(undefined));
    expect(harness.failure()).toBeUndefined();
    expect(harness.lifecycle()).toBe('registering.backingOff');
  });
});

describe('one job per registration', () => {
  it('a runner that ended after its job is registered again at once, without a wait', async () => {
    const harness = await ROAD.busy();
    await harness.runnerTells(events.jobFinished(), events.ended({ registrationGone: true }));
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
    expect(harness.timesAsked('deregister')).toBe(0);
    expect(harness.emittedTypes()).toEqual([
      'runner_registered',
      'job_started',
      'job_completed',
      'runner_exited',
    ]);
    expect(harness.context().runner).toBeUndefined();
    await harness.send(events.register('register-2'));
    expect(harness.lifecycle()).toBe('registering.configuring');
  });

  it('a runner that ended well is no failure: failures that lie far apart do not add up', async () => {
    const harness = await ROAD.awaitingCommand();
    for (let round = 0; round < 2 * LIMITS.maxRegistrationFailures; round += 1) {
      await harness.send(events.register(`register-${round}`));
      await harness.answer('configureRunner', retryable('GitHub is away'));
      await harness.advance(LIMITS.registrationBackoff.maxMs);
      await harness.answer('configureRunner', ok(undefined));
      await harness.runnerTells(
        events.started(),
        events.listening(),
        events.jobStarted(),
        events.jobFinished(),
      );
      await harness.runnerTells(events.ended({ registrationGone: true }));
    }
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
  });
});

describe('a runner that an earlier MIGlet left', () => {
  const idle = [events.started(), events.listening()];
  const busy = [...idle, events.jobStarted()];

  it('if it is idle, its registration is deleted before it is stopped, and then the VM registers', async () => {
    const harness = await ROAD.awaitingCommand({ leftover: idle });
    await harness.send(events.register('register-1'));
    expect([harness.lifecycle(), harness.requests]).toEqual(['registering.clearing.deregistering', []]);
    expect(harness.calls).toContainEqual({ port: 'deregister', input: { runnerName: RUNNER.name } });
    await harness.answer('deregister', deregisterAnswer('deleted'));
    expect(harness.requests).toEqual(['stop']);
    await harness.runnerTells(events.exited(0));
    expect(harness.lifecycle()).toBe('registering.configuring');
    expect(harness.settled).toEqual([]);
  });

  it('if it is busy, its job ends by itself first (I5)', async () => {
    const harness = await ROAD.awaitingCommand({ leftover: busy });
    await harness.answer('deregister', deregisterAnswer('busy'));
    expect(harness.lifecycle()).toBe('registering.clearing.finishingJob');
    await harness.advance(5 * 86_400_000);
    expect(harness.requests).toEqual([]);
    await harness.runnerTells(events.jobFinished());
    await harness.answer('deregister', deregisterAnswer('deleted'));
    expect(harness.requests).toEqual(['stop']);
    await harness.runnerTells(events.exited(0));
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
    expect(harness.emittedTypes()).toEqual(['job_started', 'job_completed', 'runner_exited']);
  });

  it('if the VM was drained, it is taken out and the VM stays drained', async () => {
    const harness = await ROAD.announced({ leftover: idle, drained: true });
    await harness.answer('deregister', deregisterAnswer('deleted'));
    await harness.runnerTells(events.exited(0));
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.drained', ['stop']]);
  });
});
