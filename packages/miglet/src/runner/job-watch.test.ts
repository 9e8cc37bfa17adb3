import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  createManualClock,
  TEST_START,
  type ManualClock,
} from '../../../common/src/manual-clock.contract.js';
import type { JobHint } from './job-hints.js';
import { createJobWatch, type JobWatch, type RunnerNews, type WatchState } from './job-watch.js';
import type { RunnerLine } from './output.js';
import type { WorkerSighting } from './witness.js';

const WORKS: WorkerSighting = { kind: 'works', worker: { pid: 7, startedAt: '4711' } };
const NONE: WorkerSighting = { kind: 'none' };
const UNKNOWN: WorkerSighting = { kind: 'unknown' };
const ACKNOWLEDGE_MS = 90_000;
const WORKER_MS = 600_000;

let clock: ManualClock;
let worker: WorkerSighting;
let told: RunnerNews[];
let nameless: string[];
let watch: JobWatch;
let processId: string;
/** What the listener has written since its output was read. */
let unread: RunnerLine[];

beforeEach(() => {
  clock = createManualClock();
  worker = NONE;
  told = [];
  nameless = [];
  processId = 'p1';
  unread = [];
  watch = watching();
});

const watching = (state?: WatchState): JobWatch =>
  createJobWatch(
    {
      runnerName: 'vm-1',
      processId,
      look: () => worker,
      readOutput: () => unread.splice(0).forEach((each) => watch.onLine(each)),
      clock,
      acknowledgeTimeoutMs: ACKNOWLEDGE_MS,
      workerTimeoutMs: WORKER_MS,
      tell: (news) => void told.push(news),
      onNameless: (jobId) => void nameless.push(jobId),
    },
    state,
  );

const line = {
  started: (name = 'build'): RunnerLine => ({ kind: 'jobStarted', name, at: clock.now() }),
  completed: (name = 'build', result = 'Succeeded'): RunnerLine => ({
    kind: 'jobCompleted',
    name,
    result,
    at: clock.now(),
  }),
  acknowledged: (): RunnerLine => ({ kind: 'acknowledged', requestId: '1', at: clock.now() }),
  skipped: (): RunnerLine => ({ kind: 'skipped', at: clock.now() }),
};
const hint = (hook: JobHint['hook'], change: Partial<JobHint> = {}): JobHint => ({
  hook,
  at: clock.now(),
  facts: { repository: 'acme/app', runId: '7', runAttempt: '1', commit: 'a'.repeat(40), branch: 'main' },
  runnerName: 'vm-1',
  ...change,
});
/** Time passes, and the worker is looked for, once a second. */
const wait = (ms: number): void => {
  for (let passed = 0; passed < ms; passed += 1_000) {
    clock.advance(Math.min(1_000, ms - passed));
    watch.look();
  }
};
const types = (): string[] => told.map(({ type }) => type);
/** What the next process of the MIGlet goes on from: what is written down. */
const written = (): WatchState => JSON.parse(JSON.stringify(watch.state)) as WatchState;

describe('a job', () => {
  it('whose line came between the readings of the output and of the hooks is described by them', () => {
    unread = [line.started()];
    watch.onHint(hint('completed'));
    expect(types()).toEqual(['job.started', 'job.described']);
    worker = WORKS;
    watch.look();
    wait(WORKER_MS + 1_000);
    expect(told.at(-1)).toMatchObject({ type: 'runner.hung' });
  });

  it('whose line and worker came between the reading and the look has its name', () => {
    unread = [line.started()];
    worker = WORKS;
    watch.look();
    expect(told).toMatchObject([{ type: 'job.started', job: { name: 'build' } }]);
    expect(nameless).toEqual([]);
    worker = NONE;
    watch.onLine(line.completed());
    expect(types()).toEqual(['job.started', 'job.finished']);
  });

  it('begins at its line and ends when its line has come and its worker has gone', () => {
    watch.onLine(line.started());
    worker = WORKS;
    watch.look();
    watch.onLine(line.completed());
    expect([types(), watch.waitsForWorker]).toEqual([['job.started'], true]);
    worker = NONE;
    watch.look();
    expect(types()).toEqual(['job.started', 'job.finished']);
    expect(told[1]).toMatchObject({ result: 'Succeeded', job: { name: 'build', status: 'completed' } });
  });

  it('whose worker is not seen, because it is not there yet, does not end before its line', () => {
    watch.onLine(line.started());
    wait(3_600_000);
    expect(types()).toEqual(['job.started']);
    watch.onLine(line.completed());
    expect(types()).toEqual(['job.started', 'job.finished']);
  });

  it('ends by its line alone where nothing is known of processes', () => {
    worker = UNKNOWN;
    watch.onLine(line.started());
    wait(3_600_000);
    watch.onLine(line.completed('build', 'Failed'));
    expect(told.at(-1)).toMatchObject({ type: 'job.finished', result: 'Failed', job: { status: 'failed' } });
  });

  it('whose line was lost begins when its worker is seen, without a name, and the VM is busy', () => {
    worker = WORKS;
    watch.look();
    expect(told).toMatchObject([
      { type: 'job.started', job: { jobId: 'vm-1-p1-worker-4711', name: 'unknown' } },
    ]);
    expect(nameless).toEqual(['vm-1-p1-worker-4711']);
    watch.onLine(line.completed());
    worker = NONE;
    watch.look();
    expect(told.at(-1)).toMatchObject({
      type: 'job.finished',
      job: { jobId: 'vm-1-p1-worker-4711', name: 'build' },
    });
  });

  it('whose line comes after its worker was seen gets its name, and begins once', () => {
    worker = WORKS;
    watch.look();
    watch.onLine(line.started());
    expect(types()).toEqual(['job.started', 'job.described']);
    expect(told[1]).toMatchObject({ job: { name: 'build', jobId: 'vm-1-p1-worker-4711' } });
  });

  it('whose last line was lost ends some time after its worker', () => {
    watch.onLine(line.started());
    worker = WORKS;
    watch.look();
    worker = NONE;
    wait(29_000);
    expect(types()).toEqual(['job.started']);
    wait(2_000);
    expect(told.at(-1)).toMatchObject({
      type: 'job.finished',
      result: 'Unknown',
      job: { status: 'unknown' },
    });
  });

  it('whose line comes late begins when its own worker is seen, and the job before it has ended', () => {
    worker = WORKS;
    watch.look();
    worker = { kind: 'works', worker: { pid: 8, startedAt: '4712' } };
    watch.look();
    watch.onLine(line.started('two'));
    expect(types()).toEqual(['job.started', 'job.finished', 'job.started']);
    expect(told.slice(1)).toMatchObject([{ result: 'Unknown' }, { job: { name: 'two' } }]);
  });

  it('has an id that no other process of a listener gives in the same second', () => {
    watch.onLine(line.started());
    processId = 'p2';
    watch = watching();
    watch.onLine(line.started());
    worker = WORKS;
    for (processId of ['p1', 'p2']) {
      watch = watching();
      watch.look();
    }
    const ids = told.flatMap((news) => (news.type === 'job.started' ? [news.job.jobId] : []));
    expect(new Set(ids).size).toBe(4);
  });

  it('that begins ends the one before it', () => {
    watch.onLine(line.started('one'));
    worker = WORKS;
    watch.look();
    watch.onLine(line.completed('one'));
    watch.onLine(line.started('two'));
    expect(types()).toEqual(['job.started', 'job.finished', 'job.started']);
    expect(told[1]).toMatchObject({ job: { name: 'one' }, result: 'Succeeded' });
  });

  it('has an id by the time of its line; two of one second have two', () => {
    const second = TEST_START / 1000;
    for (const name of ['one', 'two']) {
      watch.onLine(line.started(name));
      watch.onLine(line.completed(name));
    }
    const ids = told.flatMap((news) => (news.type === 'job.started' ? [news.job.jobId] : []));
    expect(ids).toEqual([`vm-1-p1-${second}-1`, `vm-1-p1-${second}-2`]);
  });

  it('of which the exit of its runner tells the result ends with that', () => {
    watch.onLine(line.started());
    watch.onEnd('Failed');
    expect(told.at(-1)).toMatchObject({ type: 'job.finished', result: 'Failed' });
  });

  it('of which nobody tells the result does not end with its runner: it was lost', () => {
    watch.onLine(line.started());
    watch.onEnd(undefined);
    expect(types()).toEqual(['job.started']);
    expect(watch.state.current?.job.name).toBe('build');
  });
});

describe('the end of a runner of which the exit says that all is well', () => {
  it.each<[string, () => void]>([
    ['by its worker alone', () => undefined],
    ['by its line, too', () => watch.onLine(line.started())],
  ])('ends a job that was seen %s, when its worker is gone', (_what, begin) => {
    begin();
    worker = WORKS;
    watch.look();
    worker = NONE;
    watch.onEnd(undefined, true);
    expect(told.at(-1)).toMatchObject({
      type: 'job.finished',
      result: 'Unknown',
      job: { status: 'unknown' },
    });
    expect(watch.state.jobsDone).toBe(1);
  });

  it.each<[string, () => void, boolean]>([
    ['whose worker still runs', () => undefined, true],
    ['of a runner that was told to end', () => watch.onLine({ kind: 'exiting', at: 0 }), true],
    ['of a runner that crashed', () => (worker = NONE), false],
  ])('ends no job %s: it was lost', (what, change, well) => {
    worker = WORKS;
    watch.look();
    change();
    if (!what.includes('still')) worker = NONE;
    watch.onEnd(undefined, well);
    expect(types()).toEqual(['job.started']);
  });
});

describe('a line that says that an update is in progress', () => {
  it.each<[boolean | undefined, string, () => void]>([
    [undefined, 'within a job', () => watch.onLine(line.started())],
    [true, 'without a job', () => undefined],
  ])('counts for the end as %s %s', (idle, _what, before) => {
    before();
    watch.onLine({ kind: 'updating', at: 0 });
    expect([types().at(-1), watch.state.updatingIdle]).toEqual(['runner.updating', idle]);
  });
});

describe('a second job that begins', () => {
  it.each<[string, () => void]>([
    [
      'while the worker of the first lives',
      () => {
        worker = WORKS;
        watch.look();
      },
    ],
    ['before the worker of the first is there', () => undefined],
    [
      'when the worker of the first is gone, as its last line does,',
      () => {
        worker = WORKS;
        watch.look();
        worker = NONE;
      },
    ],
  ])('%s is a part of its name, and none', (_what, change) => {
    watch.onLine(line.started('first'));
    change();
    watch.onLine(line.started('second'));
    expect(told).toMatchObject([{ type: 'job.started', job: { name: 'first' } }]);
    expect(told).toHaveLength(1);
    // Nor does it become one at the end of the first.
    worker = WORKS;
    watch.look();
    worker = NONE;
    wait(40_000);
    expect(types()).toEqual(['job.started', 'job.finished']);
    expect(watch.state.current).toBeUndefined();
  });

  it('when the worker of the first is gone is one as soon as it has a worker, also for the next process', () => {
    watch.onLine(line.started('first'));
    worker = WORKS;
    watch.look();
    worker = NONE;
    watch.onLine(line.started('second'));
    expect(watch.state.current).toBeDefined();
    watch = watching(written());
    worker = { kind: 'works', worker: { pid: 8, startedAt: '4712' } };
    watch.look();
    expect(told.slice(1)).toMatchObject([
      { type: 'job.finished', job: { name: 'first' }, result: 'Unknown' },
      { type: 'job.started', job: { name: 'second' } },
    ]);
    watch.onLine(line.completed('second'));
    worker = NONE;
    watch.look();
    expect(told.at(-1)).toMatchObject({ job: { name: 'second' }, result: 'Succeeded' });
  });

  it.each<[string, () => void]>([
    [
      'when there is a worker that is not of the first',
      () => {
        worker = WORKS;
        watch.look();
        worker = { kind: 'works', worker: { pid: 8, startedAt: '4712' } };
      },
    ],
    ['where nothing is known of processes', () => (worker = UNKNOWN)],
    ['when the first has had no worker for long', () => wait(31_000)],
  ])('%s is one, and the first has ended', (_what, change) => {
    watch.onLine(line.started('first'));
    change();
    watch.onLine(line.started('second'));
    expect(types()).toEqual(['job.started', 'job.finished', 'job.started']);
    expect(told[1]).toMatchObject({ result: 'Unknown' });
  });
});

describe('a job whose name holds line breaks and what the runner says', () => {
  it.each([
    ['its own end', () => line.completed('x', 'Succeeded')],
    ['the beginning of another', () => line.started('y')],
    ['that the runner has taken another', () => line.acknowledged()],
  ])('such as %s is busy until its worker has gone', (_what, forged) => {
    watch.onLine(line.started('x'));
    worker = WORKS;
    watch.look();
    watch.onLine(forged());
    wait(3_600_000);
    expect(watch.state.current).toBeDefined();
    expect(told.some((news) => news.type === 'runner.hung' && news.hang === 'no_job_after_acknowledge')).toBe(
      false,
    );
    worker = NONE;
    watch.onLine(line.completed('x', 'Failed'));
    watch.look();
    expect(watch.state.current).toBeUndefined();
    wait(2 * ACKNOWLEDGE_MS);
    expect(told.some((news) => news.type === 'runner.hung' && news.hang === 'no_job_after_acknowledge')).toBe(
      false,
    );
  });
});

describe('hints', () => {
  it('describe the job that runs, with what is new', () => {
    watch.onLine(line.started());
    watch.onHint(hint('started'));
    expect(told.at(-1)).toMatchObject({
      type: 'job.described',
      job: { name: 'build', repository: 'acme/app', runId: '7', runAttempt: '1', branch: 'main' },
    });
    watch.onHint(hint('started'));
    expect(types()).toEqual(['job.started', 'job.described']);
  });

  it('decide nothing: without a job they say nothing, of another runner or an earlier time neither', () => {
    watch.onHint(hint('started'));
    watch.onLine(line.started());
    watch.onHint(hint('started', { runnerName: 'vm-2' }));
    watch.onHint(hint('started', { at: clock.now() - 60_000 }));
    watch.onHint(
      hint('completed', {
        facts: { repository: '', runId: '', runAttempt: '', commit: '', branch: '' },
      }),
    );
    expect(types()).toEqual(['job.started']);
  });
});

describe('hangs', () => {
  it('a job that was taken and does not begin is told of after the timeout, once', () => {
    watch.onLine(line.acknowledged());
    wait(ACKNOWLEDGE_MS - 1_000);
    expect(told).toEqual([]);
    wait(10_000);
    expect(told).toMatchObject([{ type: 'runner.hung', hang: 'no_job_after_acknowledge' }]);
  });

  it.each([
    ['begins', () => line.started()],
    ['is skipped', () => line.skipped()],
  ])('one that %s is none', (_what, next) => {
    watch.onLine(line.acknowledged());
    wait(ACKNOWLEDGE_MS / 2);
    watch.onLine(next());
    wait(ACKNOWLEDGE_MS * 2);
    expect(types()).not.toContain('runner.hung');
  });

  it('one whose worker is there is none, also without its line (I5)', () => {
    watch.onLine(line.acknowledged());
    wait(ACKNOWLEDGE_MS / 2);
    worker = WORKS;
    wait(ACKNOWLEDGE_MS * 2);
    expect(types()).toEqual(['job.started']);
  });

  it.each([
    ['its completed hook', () => watch.onHint(hint('completed'))],
    ['its line', () => watch.onLine(line.completed())],
  ])('a worker that lives for long after %s lingers, and is told of once', (_what, done) => {
    watch.onLine(line.started());
    worker = WORKS;
    watch.look();
    done();
    told.length = 0;
    wait(WORKER_MS - 1_000);
    expect(types()).toEqual([]);
    wait(60_000);
    expect(told).toMatchObject([{ type: 'runner.hung', hang: 'worker_lingers' }]);
    worker = NONE;
    watch.onLine(line.completed());
    expect(told.at(-1)).toMatchObject({ type: 'job.finished' });
  });

  it.each([
    ['Unknown', 'that only a line told', () => undefined],
    ['Succeeded', 'that a hook told, too,', () => watch.onHint(hint('completed'))],
  ])('is %s of a result %s of a job whose runner is killed for it', (result, _what, also) => {
    watch.onLine(line.started());
    worker = WORKS;
    watch.look();
    watch.onLine(line.completed());
    also();
    wait(WORKER_MS + 1_000);
    expect(types()).toContain('runner.hung');
    watch.onEnd(undefined);
    expect(told.at(-1)).toMatchObject({ type: 'job.finished', result });
  });

  it('are not seen in the time that a line has, whose clock may stand or be wrong', () => {
    watch.onLine({ ...line.acknowledged(), at: clock.now() - 86_400_000 });
    watch.look();
    wait(ACKNOWLEDGE_MS - 1_000);
    expect(types()).toEqual([]);
    clock.setNow(clock.now() + 86_400_000);
    watch.look();
    expect(types()).toEqual([]);
    wait(2_000);
    expect(types()).toEqual(['runner.hung']);
  });

  it('a job that takes long does not linger', () => {
    watch.onLine(line.started());
    worker = WORKS;
    wait(10 * WORKER_MS);
    expect(types()).toEqual(['job.started']);
  });
});

describe('the next process of the MIGlet', () => {
  it('goes on from what is written: the job, its result, and that it lingers, with a time that begins anew', () => {
    watch.onLine(line.started());
    worker = WORKS;
    watch.look();
    watch.onHint(hint('completed'));
    wait(WORKER_MS / 2);
    const state = written();
    told = [];
    watch = watching(state);
    wait(WORKER_MS - 1_000);
    expect(types()).toEqual([]);
    wait(2_000);
    expect(types()).toEqual(['runner.hung']);
    worker = NONE;
    watch.onLine(line.completed());
    expect(told.at(-1)).toMatchObject({ type: 'job.finished', job: { repository: 'acme/app' } });
  });

  it('waits anew for a job that was taken, whatever the clock says of the time since', () => {
    watch.onLine(line.acknowledged());
    clock.advance(ACKNOWLEDGE_MS);
    const state = written();
    told = [];
    clock.setNow(clock.now() + 86_400_000);
    watch = watching(state);
    wait(ACKNOWLEDGE_MS - 1_000);
    expect(types()).toEqual([]);
    wait(2_000);
    expect(types()).toEqual(['runner.hung']);
  });

  it('does not believe a clock that was set back to be a hang', () => {
    watch.onLine(line.acknowledged());
    const state = written();
    clock.setNow(clock.now() - 86_400_000);
    watch = watching(state);
    watch.look();
    expect(types()).toEqual([]);
  });
});
