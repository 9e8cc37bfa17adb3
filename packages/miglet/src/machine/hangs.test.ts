import { describe, expect, it } from '@jest/globals';
import { ok } from '@mig/common/outcome';
import { deregisterAnswer, events, job, LIMITS, ROAD, type Harness } from './harness.contract.js';
import type { MigletEvent } from './types.js';

const deleted = deregisterAnswer('deleted');
const busy = deregisterAnswer('busy');
const unavailable = deregisterAnswer('unavailable');

const hungEvents = (harness: Harness) => harness.emitted.filter(({ type }) => type === 'runner_hung');

describe('a runner that took a job and does not begin it', () => {
  it('is told of, killed, deleted at GitHub, and registered anew', async () => {
    const harness = await ROAD.idle();
    await harness.runnerTells(events.hung('no_job_after_acknowledge'));
    expect(hungEvents(harness)).toEqual([
      {
        type: 'runner_hung',
        data: {
          hang: 'no_job_after_acknowledge',
          reason: 'nothing was heard',
          runner: 'vm-1',
          process: '1-1',
        },
      },
    ]);
    expect(harness.requests).toEqual(['start', 'kill']);
    await harness.runnerTells(
      events.ended({ outcome: 'hung', well: false, next: 'afterBackoff', reason: 'it hung' }),
    );
    expect(harness.emitted.at(-1)).toMatchObject({ type: 'runner_crashed', data: { outcome: 'hung' } });
    await harness.advance(LIMITS.registrationBackoff.firstMs);
    expect(harness.calls.at(-1)).toEqual({ port: 'deregister', input: { runnerName: 'vm-1' } });
    await harness.answer('deregister', deleted);
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
  });

  it.each([
    ['drain', (harness: Harness) => harness.send(events.drain('drain-1')), 'draining.drained'],
    ['shutdown', (harness: Harness) => harness.send(events.shutdown('down-1')), 'shutdown.flushing'],
  ])('is killed also in a %s, which ends', async (_order, order, end) => {
    const harness = await ROAD.idle();
    await order(harness);
    await harness.answer('deregister', unavailable);
    await harness.runnerTells(events.hung('no_job_after_acknowledge'));
    expect(harness.requests).toEqual(['start', 'kill']);
    await harness.runnerTells(events.ended({ outcome: 'hung', well: false, next: 'afterBackoff' }));
    await harness.answer('deregister', deleted);
    expect(harness.lifecycle()).toBe(end);
  });
});

describe('a job whose process does not end', () => {
  const lingers = async (): Promise<Harness> => {
    const harness = await ROAD.busy();
    await harness.runnerTells(events.hung('worker_lingers'));
    return harness;
  };

  it('is told of, and GitHub is asked before anything is done (I5)', async () => {
    const harness = await lingers();
    expect(hungEvents(harness)).toMatchObject([
      { data: { hang: 'worker_lingers', runner: 'vm-1', job: 'build', job_id: 'vm-1-build' } },
    ]);
    expect([harness.lifecycle(), harness.requests]).toEqual([
      'registering.clearing.deregistering',
      ['start'],
    ]);
  });

  it('is ended, when GitHub says that there is no job, and the VM registers anew', async () => {
    const harness = await lingers();
    await harness.answer('deregister', deleted);
    expect(harness.requests).toEqual(['start', 'stop']);
    await harness.advance(LIMITS.stopGraceMs);
    expect(harness.requests).toEqual(['start', 'stop', 'kill']);
    await harness.runnerTells(events.ended({ outcome: 'hung', well: false }));
    expect([harness.lifecycle(), harness.context().job]).toEqual(['registering.awaitingCommand', undefined]);
  });

  it('is left alone for as long as GitHub says that it runs, or cannot be asked (I5)', async () => {
    const harness = await lingers();
    for (const answer of [busy, unavailable, busy, busy]) {
      await harness.answer('deregister', answer);
      expect([harness.lifecycle(), harness.requests]).toEqual(['registering.clearing.lingering', ['start']]);
      await harness.advance(LIMITS.lingerRetryMs);
    }
    await harness.runnerTells(events.jobFinished());
    await harness.answer('deregister', deleted);
    expect(harness.requests).toEqual(['start', 'stop']);
    await harness.runnerTells(events.exited(0));
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
    expect(harness.emittedTypes()).toContain('job_completed');
  });

  it('is left alone where no GitHub is managed: nobody can say that it has ended', async () => {
    const harness = await lingers();
    await harness.answer('deregister', deregisterAnswer('notManaged'));
    await harness.advance(10 * LIMITS.lingerRetryMs);
    expect([harness.lifecycle(), harness.requests]).toEqual(['registering.clearing.finishingJob', ['start']]);
  });

  it.each([
    ['drain', (harness: Harness) => harness.send(events.drain('drain-1')), 'draining.drained'],
    ['shutdown', (harness: Harness) => harness.send(events.shutdown('down-1')), 'shutdown.flushing'],
  ])('in a %s is asked about in the same way, and the %s ends', async (_order, order, end) => {
    const harness = await lingers();
    await harness.answer('deregister', busy);
    await order(harness);
    await harness.answer('deregister', busy);
    expect(harness.lifecycle()).toBe('draining.lingering');
    await harness.advance(LIMITS.lingerRetryMs);
    await harness.answer('deregister', deleted);
    await harness.runnerTells(events.ended({ outcome: 'hung', well: false }));
    expect(harness.lifecycle()).toBe(end);
  });

  it('that is found while its VM drains is asked about at once', async () => {
    const harness = await ROAD.busy();
    await harness.send(events.drain('drain-1'));
    await harness.answer('deregister', busy);
    expect(harness.lifecycle()).toBe('draining.finishingJob');
    await harness.runnerTells(events.hung('worker_lingers'));
    expect(harness.lifecycle()).toBe('draining.deregistering');
    await harness.answer('deregister', deleted);
    expect(harness.requests).toEqual(['start', 'stop']);
  });
});

describe('a runner that GitHub does not have', () => {
  const replacement = (change = {}) => events.register('replace-1', { replace: true, ...change });

  it('is retired and replaced when the controller says so, and the command ends when the new one listens', async () => {
    const harness = await ROAD.idle();
    await harness.send(replacement({ runnerName: 'vm-2', jitConfig: 'a-jit-config' }));
    expect(hungEvents(harness)).toMatchObject([{ data: { hang: 'deregistered', runner: 'vm-1' } }]);
    await harness.answer('deregister', deleted);
    expect(harness.requests).toEqual(['start', 'stop']);
    await harness.runnerTells(events.exited(0));
    expect(harness.resultsOf('replace-1')).toEqual([]);
    await harness.answer('configureRunner', ok(undefined));
    await harness.runnerTells({ type: 'runner.started', runner: { name: 'vm-2', labels: [] } });
    await harness.runnerTells(events.listening());
    expect(harness.lifecycle()).toBe('ready.idle');
    expect(harness.resultsOf('replace-1')).toMatchObject([{ success: true }]);
    expect(harness.context().leftBehind).toEqual([]);
  });

  it('is not asked about if GitHub has given its name to the one that takes its place', async () => {
    const harness = await ROAD.idle();
    await harness.send(replacement({ jitConfig: 'a-jit-config' }));
    expect([harness.lifecycle(), harness.timesAsked('deregister')]).toEqual([
      'registering.clearing.stoppingRunner',
      0,
    ]);
  });

  it.each([
    ['a job runs', () => ROAD.busy(), 'job build runs'],
    [
      'it updates itself',
      async () => {
        const harness = await ROAD.idle();
        await harness.runnerTells({ type: 'runner.updating', reason: 'another version' });
        return harness;
      },
      'being updated',
    ],
  ])('is kept when %s, and the command says why', async (_when, begin, why) => {
    const harness = await begin();
    const before = harness.lifecycle();
    await harness.send(replacement());
    expect(harness.lifecycle()).toBe(before);
    expect(harness.resultsOf('replace-1')).toMatchObject([
      { success: false, message: expect.stringContaining(why) },
    ]);
    expect(harness.codes['replace-1']).toBe('busy');
    expect([harness.requests, hungEvents(harness)]).toEqual([['start'], []]);
  });

  it('with a job that comes while it is being retired is let finish (I5)', async () => {
    const harness = await ROAD.idle();
    await harness.send(replacement({ runnerName: 'vm-2', jitConfig: 'a-jit-config' }));
    await harness.runnerTells(events.jobStarted());
    await harness.answer('deregister', busy);
    expect([harness.lifecycle(), harness.requests]).toEqual(['registering.clearing.finishingJob', ['start']]);
  });
});

describe('a runner that ends for a while', () => {
  const restarting = (why: 'update' | 'retry'): MigletEvent => ({
    type: 'runner.restarting',
    why,
    code: why === 'update' ? 3 : 2,
    reason: 'it comes back',
    attempt: 1,
  });

  it('to be updated is told of once, and its VM is ready again when it listens', async () => {
    const harness = await ROAD.idle();
    await harness.runnerTells({ type: 'runner.updating', reason: 'another version' });
    await harness.runnerTells(restarting('update'));
    expect(harness.emittedTypes().filter((type) => type === 'runner_updating')).toHaveLength(1);
    expect([harness.lifecycle(), harness.runner(), harness.context().paused]).toEqual([
      'ready.idle',
      'alive.starting',
      'update',
    ]);
    await harness.runnerTells(events.listening());
    expect([harness.lifecycle(), harness.runner(), harness.context().paused]).toEqual([
      'ready.idle',
      'alive.idle',
      undefined,
    ]);
    expect(harness.requests).toEqual(['start']);
  });

  it('after an error that may pass is told of as a crash that is tried again', async () => {
    const harness = await ROAD.idle();
    await harness.runnerTells(restarting('retry'));
    expect(harness.emitted.at(-1)).toEqual({
      type: 'runner_crashed',
      data: { exit_code: '2', outcome: 'retryable', reason: 'it comes back', restart: '1' },
    });
    expect(harness.lifecycle()).toBe('ready.idle');
  });

  it('can be drained meanwhile', async () => {
    const harness = await ROAD.idle();
    await harness.runnerTells(restarting('update'));
    await harness.send(events.drain('drain-1'));
    await harness.answer('deregister', deleted);
    expect(harness.requests).toEqual(['start', 'stop']);
    await harness.runnerTells(events.ended({ outcome: 'updating' }));
    expect(harness.lifecycle()).toBe('draining.drained');
  });
});

describe('the end of a runner', () => {
  it('of a version that GitHub refuses ends the VM, loudly', async () => {
    const harness = await ROAD.idle();
    await harness.runnerTells(
      events.ended(
        { outcome: 'version_deprecated', reason: 'set runner.version', well: false, next: 'never' },
        7,
      ),
    );
    expect(harness.emitted).toContainEqual({
      type: 'runner_crashed',
      data: { exit_code: '7', outcome: 'version_deprecated', reason: 'set runner.version', process: '1-1' },
    });
    await harness.answer('deregister', deleted);
    await harness.answer('flush', undefined);
    expect(harness.output()).toMatchObject({ outcome: 'failed', reason: 'set runner.version' });
  });

  it('that spends its registration before it listens is answered as failed, and another is waited for', async () => {
    const harness = await ROAD.starting();
    await harness.runnerTells(
      events.ended(
        { outcome: 'session_conflict', reason: 'another one', well: false, next: 'afterBackoff' },
        5,
      ),
    );
    expect(harness.resultsOf('register-1')).toMatchObject([
      { success: false, message: expect.stringContaining('another one') },
    ]);
    await harness.advance(LIMITS.registrationBackoff.firstMs);
    await harness.answer('deregister', deleted);
    expect(harness.lifecycle()).toBe('registering.awaitingCommand');
  });

  it('without a job, and by itself, is a failure that is waited after', async () => {
    const harness = await ROAD.idle();
    await harness.runnerTells(
      events.ended({ outcome: 'dropped_while_idle', registrationGone: true, next: 'afterBackoff' }),
    );
    expect([harness.lifecycle(), harness.emittedTypes().at(-1)]).toEqual([
      'registering.backingOff',
      'runner_exited',
    ]);
    await harness.advance(LIMITS.registrationBackoff.firstMs);
    expect([harness.lifecycle(), harness.timesAsked('deregister')]).toEqual([
      'registering.awaitingCommand',
      0,
    ]);
  });
});

describe('what is known of a job later', () => {
  it('is in its heartbeats and in the event of its end', async () => {
    const harness = await ROAD.busy();
    const beats = harness.beatsAt.length;
    const described = {
      ...job(),
      repository: 'acme/app',
      runId: '7',
      runAttempt: '2',
      commit: 'abc',
      branch: 'main',
    };
    await harness.runnerTells({ type: 'job.described', job: described });
    expect(harness.context().job).toEqual(described);
    expect(harness.beatsAt.length).toBe(beats + 1);
    await harness.runnerTells({ type: 'job.finished', job: described, result: 'Succeeded' });
    expect(harness.emitted.at(-1)).toEqual({
      type: 'job_completed',
      data: {
        job_id: 'vm-1-build',
        name: 'build',
        repository: 'acme/app',
        run_id: '7',
        run_attempt: '2',
        sha: 'abc',
        branch: 'main',
        result: 'Succeeded',
      },
    });
  });
});
