/** The runner's listener for real: that of the stand-in runner, at a stand-in GitHub. */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isAlive } from '@mig/common/process-identity';
import { until } from '@mig/testkit/github/until';
import { startListener } from './listener.js';
import { createRunnerGround, type RunnerGround, type Watched } from './runner-ground.contract.js';
import { runnerDirectory } from './runner-directory.js';

let ground: RunnerGround;
beforeEach(async () => {
  ground = await createRunnerGround();
});
afterEach(() => ground.close());

const queueJob = (durationMs: number, name = 'a job') =>
  ground.github.queueJob({ name, durationMs, labels: ['test'] });
const jobNews = ({ told }: Watched) =>
  told.flatMap(({ news, known }) =>
    news.type === 'job.started' || news.type === 'job.finished' ? [[news.type, known]] : [],
  );
const commandOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
};
const noProcess = () => until('no process is left', () => ground.processes().length === 0);
const outputFile = () => path.join(ground.folder, 'runner-output.log');
const noteFile = () => path.join(ground.folder, 'runner.json');

describe('the listener', () => {
  it('tells that it listens, when a job starts and how it ends, and ends when it is told to', async () => {
    const watched = await ground.start();
    await watched.hears('runner.listening');
    queueJob(300, 'a job: with result: in its name');
    expect(await watched.hears('job.started')).toMatchObject({
      job: { name: 'a job: with result: in its name', status: 'running' },
    });
    expect(await watched.hears('job.finished')).toMatchObject({
      result: 'Succeeded',
      job: { status: 'completed' },
    });
    watched.listener.interrupt();
    expect((await watched.ended()).exit).toEqual({ code: 0, signal: undefined });
    expect(ground.processes()).toEqual([]);
    expect(existsSync(noteFile())).toBe(false);
  });

  it('prints each line a second time in its log, and each counts once', async () => {
    const watched = await ground.start();
    queueJob(200);
    await watched.hears('job.finished');
    expect(ground.output()).toContain('WRITE LINE: ');
    expect(jobNews(watched)).toEqual([
      ['job.started', false],
      ['job.finished', false],
    ]);
  });

  it('tells the repository, run, commit and branch of a job when its hook has run, and with its end', async () => {
    const watched = await ground.start();
    const { run_id: runId } = queueJob(2_500);
    const { job } = await watched.hears('job.described');
    expect(job).toMatchObject({
      repository: expect.stringMatching(/^acme\/./),
      runId: String(runId),
      runAttempt: '1',
      commit: expect.stringMatching(/^[0-9a-f]{40}$/),
      branch: expect.stringMatching(/./),
    });
    expect((await watched.hears('job.finished')).job).toMatchObject({ runId: job.runId, runAttempt: '1' });
  });

  it('that crashes tells by which signal, and leaves no worker', async () => {
    ground.install('crash-in-job:100');
    const watched = await ground.start();
    queueJob(60_000);
    expect((await watched.ended()).exit).toEqual({ code: undefined, signal: 'SIGKILL' });
    await noProcess();
  });

  it('that does not end when it is told to is killed with its whole tree', async () => {
    ground.install('hang-on-sigint');
    const watched = await ground.start();
    queueJob(60_000);
    await watched.hears('job.started');
    watched.listener.interrupt();
    watched.listener.kill();
    expect((await watched.ended()).exit).toEqual({ code: undefined, signal: 'SIGKILL' });
    await noProcess();
  });

  it('that cannot be started at all is told at once', async () => {
    const directory = runnerDirectory(path.join(ground.folder, 'nothing'));
    const handlers = { tell: () => undefined, onEnd: () => true };
    await expect(
      startListener(ground.registration, ground.options({ directory }), handlers),
    ).rejects.toThrow();
  });
});

describe('the second witness', () => {
  it('keeps a job running whose line of its end has come, for as long as its worker lives', async () => {
    const watched = await ground.start();
    queueJob(3_000, 'long');
    await watched.hears('job.started');
    const worker = (): boolean => ground.processes().some((pid) => commandOf(pid) === 'Runner.Worker');
    await until('its worker runs', worker);
    // As a job's name with a line break in it could make it say.
    appendFileSync(outputFile(), '2026-07-01 09:30:00Z: Job long completed with result: Failed\n');
    await watched.hears('job.finished');
    expect(worker()).toBe(false);
    await until('the job has ended at GitHub', () => ground.github.jobs()[0]?.status === 'completed');
    expect(jobNews(watched)).toHaveLength(2);
  });

  it('makes a VM busy whose output says nothing of a job, and idle when it has gone', async () => {
    const first = await ground.start();
    await first.hears('runner.listening');
    queueJob(4_000);
    await first.hears('job.started');
    first.listener.release();
    // Neither what was told nor what was said is left.
    writeFileSync(noteFile(), '{"pid":');
    truncateSync(outputFile());

    const second = ground.adopt();
    if (second === undefined) throw new Error('the runner was not found');
    expect(await second.hears('job.started')).toMatchObject({ job: { name: 'unknown' } });
    expect(ground.log.map(({ msg }) => String(msg))).toEqual(
      expect.arrayContaining([
        expect.stringContaining('the note of the runner cannot be read'),
        expect.stringContaining('the VM counts as busy'),
      ]),
    );
    // I5: it ended by itself; its last line has its name.
    expect(await second.hears('job.finished')).toMatchObject({
      result: 'Succeeded',
      job: { name: 'a job', status: 'completed' },
    });
    await until('the job has ended at GitHub', () => ground.github.jobs()[0]?.conclusion === 'success');
  });
});

describe('the output', () => {
  it('is emptied when it is long and all of it is told, and what the runner does is told on', async () => {
    const watched = await ground.start({ maxOutputBytes: 200 });
    await watched.hears('runner.listening');
    queueJob(3_500);
    await watched.hears('job.started');
    await until('it is emptied', () => statSync(outputFile()).size < 200, 10_000);
    expect(await watched.hears('job.finished')).toMatchObject({
      result: 'Succeeded',
      job: { name: 'a job' },
    });
    expect(jobNews(watched)).toHaveLength(2);
  });

  it('is not emptied while the disk refuses to note how far it was told', async () => {
    const watched = await ground.start({ maxOutputBytes: 200, isJournaled: () => false });
    await watched.hears('runner.listening');
    queueJob(1_500);
    await watched.hears('job.finished');
    expect(statSync(outputFile()).size).toBeGreaterThan(200);
  });
});

describe('a runner that an earlier MIGlet left', () => {
  it('is found with its job, which goes on, and what was told is only how things stand (I5)', async () => {
    const first = await ground.start();
    await first.hears('runner.listening');
    queueJob(1_000);
    const { job } = await first.hears('job.started');
    first.listener.release();

    const second = ground.adopt();
    expect(second?.listener.runner).toEqual({ name: 'vm-1', labels: ['self-hosted', 'test'] });
    expect(await second?.hears('job.finished')).toMatchObject({
      job: { jobId: job.jobId },
      result: 'Succeeded',
    });
    expect(second?.told.map(({ news, known }) => [news.type, known]).slice(0, 2)).toEqual([
      ['runner.listening', true],
      ['job.started', true],
    ]);
    second?.listener.interrupt();
    await second?.ended();
    // Nobody is taken for it afterwards.
    expect(ground.adopt()).toBeUndefined();
  });

  it('and that ended meanwhile tells what nobody heard, and that it ended', async () => {
    const first = await ground.start();
    await first.hears('runner.listening');
    queueJob(300);
    await first.hears('job.started');
    first.listener.release();
    await until('the listener has said so', () => ground.output().includes('completed with result'), 10_000);
    first.listener.kill();
    await noProcess();

    const second = ground.adopt();
    expect((await second?.ended())?.exit).toEqual({ code: undefined, signal: undefined });
    if (second === undefined) return;
    expect(jobNews(second)).toEqual([
      ['job.started', true],
      ['job.finished', false],
    ]);
  });

  it('before it was noted is found by its program', async () => {
    const first = await ground.start();
    await first.hears('runner.listening');
    first.listener.release();
    rmSync(noteFile());
    const second = ground.adopt();
    expect(second?.listener.runner.name).toBe('vm-1');
    await second?.hears('runner.listening');
    second?.listener.interrupt();
    await noProcess();
  });

  it('whose output is gone is found, and ends when it is told to', async () => {
    const first = await ground.start();
    await first.hears('runner.listening');
    first.listener.release();
    rmSync(outputFile());
    const second = ground.adopt();
    second?.listener.interrupt();
    expect((await second?.ended())?.exit).toEqual({ code: undefined, signal: undefined });
  });

  it('and whose end is in the journal is not told to have ended again', async () => {
    const first = await ground.start();
    await first.hears('runner.listening');
    first.listener.release();
    first.listener.kill();
    const [pid, startedAt] = first.listener.process.split('-');
    await until('it has ended', () => !isAlive({ pid: Number(pid), startedAt: startedAt ?? '' }));
    const isTold = (type: string, key: string, value: string): boolean =>
      type === 'runner_crashed' && key === 'process' && value === first.listener.process;
    expect(ground.adopt({ isTold })).toBeUndefined();
    expect(existsSync(noteFile())).toBe(false);
  });
});

describe('kill -9 of the MIGlet between any two steps', () => {
  /** The MIGlet as a journal: what was told and is new is an event, once. */
  const journal: string[] = [];
  const entryOf = (type: string, id: string): string => `${type} ${id}`;
  const isTold = (type: string, _key: string, value: string): boolean =>
    journal.includes(entryOf(type, value));
  const enter = ({ told }: Watched): void => {
    for (const { news, known } of told) {
      if (known) continue;
      if (news.type === 'job.started') journal.push(entryOf('job_started', news.job.jobId));
      if (news.type === 'job.finished') journal.push(entryOf('job_completed', news.job.jobId));
    }
  };

  it.each([
    ['after the event is journaled and before it is noted', { isJournaled: () => false, isTold }, 200],
    ['after it is noted', { isTold }, 200],
    ['after the output was emptied', { isTold, maxOutputBytes: 100 }, 3_500],
  ])(
    '%s loses no job and tells none twice',
    async (when, change, durationMs) => {
      journal.length = 0;
      const first = await ground.start(change);
      await first.hears('runner.listening');
      queueJob(durationMs);
      await first.hears(when.includes('emptied') ? 'job.started' : 'job.finished');
      if (when.includes('emptied'))
        await until('it is emptied', () => statSync(outputFile()).size < 100, 10_000);
      first.listener.release();
      enter(first);

      const second = ground.adopt(change);
      await second?.hears('runner.listening');
      queueJob(200, 'the next');
      await until(
        'the next job is told to have ended',
        () => second?.told.some(({ news }) => news.type === 'job.finished' && news.job.name === 'the next'),
        15_000,
      );
      if (second !== undefined) enter(second);
      const ids = journal.map((entry) => entry.split(' ')[1]);
      expect(journal).toEqual([
        entryOf('job_started', ids[0] ?? ''),
        entryOf('job_completed', ids[0] ?? ''),
        entryOf('job_started', ids[2] ?? ''),
        entryOf('job_completed', ids[2] ?? ''),
      ]);
      expect(ids[0]).not.toBe(ids[2]);
    },
    30_000,
  );

  it('between the emptying and its note reads the file from its beginning', async () => {
    const first = await ground.start();
    await first.hears('runner.listening');
    queueJob(3_000);
    await first.hears('job.started');
    const noted = readFileSync(noteFile());
    first.listener.release();
    truncateSync(outputFile());
    expect(readFileSync(noteFile())).toEqual(noted);

    const second = ground.adopt();
    expect(await second?.hears('job.finished')).toMatchObject({
      job: { name: 'a job' },
      result: 'Succeeded',
    });
    expect(second === undefined ? [] : jobNews(second)).toEqual([
      ['job.started', true],
      ['job.finished', false],
    ]);
  });
});

/** A listener that is a script: `script` has its folder in FOLDER, and functions that print and that leave a process behind. */
function scripted(script: string): { directory: typeof ground.directory } {
  const listener = path.join(ground.folder, 'Runner.Listener');
  const functions = [
    `FOLDER='${ground.folder}'`,
    `say() { echo "2026-07-01 09:30:00Z: $*"; }`,
    // Its name is that of its folder, too: no test leaves it behind.
    `leave() { setsid sh -c 'echo $$ >"$0/left"; sleep 60; :' "$FOLDER" </dev/null >/dev/null 2>&1 &`,
    `until [ -s "$FOLDER/left" ]; do sleep 0.02; done; }`,
    `wait_for() { until [ -e "$FOLDER/$1" ]; do sleep 0.02; done; }`,
  ];
  writeFileSync(listener, `#!/bin/sh\n${functions.join('\n')}\n${script}\n`);
  chmodSync(listener, 0o755);
  return { directory: { ...ground.directory, listener } };
}
const leftLives = (): boolean =>
  ground.processes().includes(readFileSync(path.join(ground.folder, 'left'), 'utf8').trim());
const touch = (name: string): void => writeFileSync(path.join(ground.folder, name), '');

describe('what earlier jobs left in the tree of a listener that ends to be updated', () => {
  it.each([3, 4])(
    'lives as long as the update, and has ended when the next one starts (%d)',
    async (code) => {
      const first = await ground.start(scripted(`leave; exit ${code}`));
      expect((await first.ended()).updating).toBe(true);
      // What updates the runner is such a process, too.
      expect(leftLives()).toBe(true);
      const second = await ground.start();
      expect(leftLives()).toBe(false);
      await second.hears('runner.listening');
    },
  );
});

describe('a listener that is no child of this process, and says that an update is in progress', () => {
  const UPDATE = 'echo "Runner update in progress, do not shutdown runner."; leave; wait_for go; exit 0';

  it.each([
    ['within a job, as the name of a job can, ends with its tree', 'say "Running job: x"', false],
    ['without a job is updated', 'say "Listening for Jobs"', true],
  ])('%s', async (_what, before, updating) => {
    const change = scripted(`${before}; ${UPDATE}`);
    const first = await ground.start(change);
    await first.hears('runner.updating');
    await until('it has left a process', () => existsSync(path.join(ground.folder, 'left')));
    first.listener.release();
    const second = ground.adopt(change);
    touch('go');
    expect(await second?.ended()).toMatchObject({ exit: { code: undefined }, updating });
    expect(leftLives()).toBe(updating);
  });

  it('within a job is updated when its program is just being replaced', async () => {
    const change = scripted(`say "Running job: x"; ${UPDATE}`);
    const first = await ground.start(change);
    await first.hears('runner.updating');
    first.listener.release();
    const second = ground.adopt(change);
    rmSync(change.directory.listener);
    touch('go');
    expect((await second?.ended())?.updating).toBe(true);
  });
});

describe('a listener that ends with 0 after a job of which it said nothing', () => {
  it('has ended its job when its worker is gone', async () => {
    const worker = path.join(ground.folder, 'Runner.Worker');
    writeFileSync(worker, `#!/bin/sh\nuntil [ -e "$1/go" ]; do sleep 0.02; done\n`);
    chmodSync(worker, 0o755);
    const watched = await ground.start(scripted(`"$FOLDER/Runner.Worker" "$FOLDER"; exit 0`));
    await watched.hears('job.started');
    touch('go');
    expect((await watched.ended()).state).toMatchObject({ jobsDone: 1 });
    expect(await watched.hears('job.finished')).toMatchObject({ result: 'Unknown' });
  });
});
