/** Runners that fail in every way that is known, for real: what the machine hears of each. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '@mig/common/clock';
import { until } from '@mig/testkit/github/until';
import type { MigletEvent, RunnerExited } from '../machine/types.js';
import { createRunnerGround, type RunnerGround } from './runner-ground.contract.js';
import { createPendingUpdate, type PendingUpdate } from './pending-update.js';
import { createSupervision, type Supervision, type SupervisionDeps } from './supervision.js';
import type { ListenerOptions } from './watch-listener.js';

let ground: RunnerGround;
const supervisions: Supervision[] = [];
beforeEach(async () => {
  ground = await createRunnerGround();
});
afterEach(async () => {
  for (const supervision of supervisions.splice(0)) {
    supervision.kill();
    supervision.release();
  }
  await ground.close();
});

const DEADLINE_MS = 20_000;

interface Supervised {
  readonly supervision: Supervision;
  readonly told: readonly MigletEvent[];
  hears<T extends MigletEvent['type']>(type: T, count?: number): Promise<Extract<MigletEvent, { type: T }>>;
}

const pendingUpdate = (timeoutMs = 20_000): PendingUpdate =>
  createPendingUpdate({
    directory: ground.directory.path,
    stateDirectory: ground.folder,
    timeoutMs,
    clock: systemClock,
    logger: ground.options().logger,
  });

function supervise(
  change: Partial<SupervisionDeps> = {},
  listener: Partial<ListenerOptions> = {},
): Supervised {
  const told: MigletEvent[] = [];
  const options = ground.options(listener);
  const supervision = createSupervision({
    listener: options,
    clock: systemClock,
    logger: options.logger,
    pendingUpdate: pendingUpdate(),
    startTimeoutMs: 20_000,
    forgetInstalled: () => false,
    tell: (event) => void told.push(event),
    ...change,
  });
  supervisions.push(supervision);
  return {
    supervision,
    told,
    hears: (type, count = 1) =>
      until(
        `${type} is told`,
        () => told.filter((event) => event.type === type)[count - 1] as never,
        DEADLINE_MS,
      ),
  };
}

async function start(
  faults: string,
  change?: Partial<SupervisionDeps>,
  listener?: Partial<ListenerOptions>,
  env?: Readonly<Record<string, string>>,
): Promise<Supervised> {
  ground.install(faults, env);
  expect(await ground.configure()).toMatchObject({ kind: 'ok' });
  const supervised = supervise(change, listener);
  supervised.supervision.start(ground.registration);
  return supervised;
}
const queueJob = (durationMs = 200) =>
  ground.github.queueJob({ name: 'a job', durationMs, labels: ['test'] });
const noProcess = () => until('no process is left', () => ground.processes().length === 0, DEADLINE_MS);
const times = ({ told }: Supervised, type: MigletEvent['type']): number =>
  told.filter((event) => event.type === type).length;
const endOf = async (supervised: Supervised): Promise<RunnerExited> => supervised.hears('runner.exited');

describe('exit codes', () => {
  it.each<[string, Partial<RunnerExited['verdict']> & object, number | undefined]>([
    ['exit:1', { outcome: 'terminated', well: false, next: 'afterBackoff' }, 1],
    ['exit:5', { outcome: 'session_conflict', spent: true, next: 'afterBackoff' }, 5],
    ['exit:102', { outcome: 'job_done', well: true, next: 'atOnce' }, 102],
    ['exit-after-listening:0', { outcome: 'ended', well: true, next: 'afterBackoff' }, 0],
    ['version-deprecated', { outcome: 'version_deprecated', next: 'never' }, 7],
    ['crash-on-start', { outcome: 'killed', well: false }, undefined],
  ])('%s has its own outcome', async (fault, verdict, code) => {
    const end = await endOf(await start(fault));
    expect(end).toMatchObject({ code, verdict, process: expect.stringMatching(/^\d+-\d+$/) });
    expect(end.verdict?.reason).toMatch(/./);
  });

  it('a version that GitHub refuses is logged as an error; one that we installed is installed anew', async () => {
    const end = await endOf(await start('version-deprecated', { forgetInstalled: () => true }));
    expect(end.verdict).toMatchObject({
      next: 'afterBackoff',
      reason: expect.stringContaining('which installs another'),
    });
    expect(ground.log).toContainEqual(
      expect.objectContaining({ level: 'error', event: 'version_deprecated', removed: true }),
    );
  });

  it('an error that may pass is tried again with the same registration, and the machine sees one runner', async () => {
    const supervised = await start('once:exit:2');
    expect(await supervised.hears('runner.restarting')).toMatchObject({ why: 'retry', code: 2, attempt: 1 });
    await supervised.hears('runner.listening');
    queueJob();
    await supervised.hears('job.finished');
    expect([times(supervised, 'runner.started'), times(supervised, 'runner.exited')]).toEqual([1, 0]);
  });

  it('an error that does not pass is told after three more tries', async () => {
    const supervised = await start('exit:2', { restartPausesMs: [10, 20, 30] });
    const end = await endOf(supervised);
    expect(end).toMatchObject({ code: 2, verdict: { outcome: 'retryable', well: false } });
    expect(times(supervised, 'runner.restarting')).toBe(3);
  });

  it('a runner that is told to end in the pause before it is tried again ends at once', async () => {
    const supervised = await start('exit:2', { restartPausesMs: [10, 60_000] });
    await supervised.hears('runner.restarting', 2);
    supervised.supervision.stop();
    expect((await endOf(supervised)).verdict).toMatchObject({ outcome: 'retryable', well: true });
    expect(times(supervised, 'runner.restarting')).toBe(2);
  });

  it('a MIGlet that is killed in that pause leaves a runner whose end the next one tells', async () => {
    const first = await start('exit:2', { restartPausesMs: [10, 60_000] });
    await first.hears('runner.restarting', 2);
    first.supervision.release();
    const second = supervise();
    second.supervision.adopt();
    expect(await endOf(second)).toMatchObject({ code: undefined, verdict: { outcome: 'unknown' } });
    expect(existsSync(path.join(ground.folder, 'runner.json'))).toBe(false);
  });
});

describe('updates', () => {
  it('the runner that ends to be updated is started again when the update has ended', async () => {
    const supervised = await start('once:update:300');
    await supervised.hears('runner.updating');
    expect(await supervised.hears('runner.restarting')).toMatchObject({ why: 'update' });
    await supervised.hears('runner.listening', 2);
    queueJob();
    await supervised.hears('job.finished');
    expect([times(supervised, 'runner.started'), times(supervised, 'runner.exited')]).toEqual([1, 0]);
    expect(existsSync(path.join(ground.directory.path, 'update.finished'))).toBe(false);
  });

  it('an update that does not end in time is told, and the runner is started as it is', async () => {
    const supervised = await start('once:exit:3', { pendingUpdate: pendingUpdate(700) });
    expect(await supervised.hears('runner.restarting')).toMatchObject({ why: 'update', code: 3 });
    await supervised.hears('runner.listening');
    expect(ground.log).toContainEqual(expect.objectContaining({ level: 'error', event: 'update_timeout' }));
  });

  it('a stop waits for the update, and the runner is not started again', async () => {
    const supervised = await start('once:exit:3');
    await supervised.hears('runner.restarting');
    supervised.supervision.stop();
    expect(times(supervised, 'runner.exited')).toBe(0);
    writeFileSync(path.join(ground.directory.path, 'update.finished'), '');
    expect((await endOf(supervised)).verdict).toMatchObject({ outcome: 'updating', well: true });
    expect(times(supervised, 'runner.listening')).toBe(0);
  });

  it('a kill does not wait for it, and nobody does after it', async () => {
    const supervised = await start('once:exit:3');
    await supervised.hears('runner.restarting');
    supervised.supervision.kill();
    await endOf(supervised);
    expect(pendingUpdate().isOver()).toBe(true);
  });

  it('the end of an earlier one is not taken for its end', async () => {
    writeFileSync(path.join(ground.directory.path, 'update.finished'), '');
    const supervised = await start('once:exit:3');
    await supervised.hears('runner.restarting');
    expect(existsSync(path.join(ground.directory.path, 'update.finished'))).toBe(false);
    expect(pendingUpdate().isOver()).toBe(false);
    writeFileSync(path.join(ground.directory.path, 'update.finished'), '');
    await supervised.hears('runner.listening');
    expect(pendingUpdate().isOver()).toBe(true);
  });

  it('a MIGlet that is killed meanwhile leaves a note, and the next one waits for its end before it registers', async () => {
    const first = await start('once:exit:3');
    await first.hears('runner.restarting');
    first.supervision.release();
    const next = pendingUpdate();
    const second = supervise({ pendingUpdate: next });
    second.supervision.adopt();
    await endOf(second);
    let waited = false;
    const wait = next.wait(new AbortController().signal).then((outcome) => ((waited = true), outcome));
    expect(await pendingUpdate().wait(AbortSignal.timeout(50))).toMatchObject({ kind: 'retryable' });
    expect(waited).toBe(false);
    writeFileSync(path.join(ground.directory.path, 'update.finished'), '');
    expect(await wait).toMatchObject({ kind: 'ok' });
    expect(existsSync(path.join(ground.folder, 'update-pending'))).toBe(false);
    expect(existsSync(path.join(ground.directory.path, 'update.finished'))).toBe(false);
  });

  it('one that never ends keeps the next MIGlet no longer than its time', async () => {
    pendingUpdate().begin();
    expect(await pendingUpdate(100).wait(new AbortController().signal)).toMatchObject({ kind: 'ok' });
    expect(ground.log).toContainEqual(expect.objectContaining({ level: 'error', event: 'update_timeout' }));
    expect(pendingUpdate().isOver()).toBe(true);
  });
});

describe('hangs', () => {
  it('a job that was acknowledged and does not begin is told of; killed, the runner has hung', async () => {
    const supervised = await start('hang-after-acknowledge', {}, { acknowledgeTimeoutMs: 700 });
    await supervised.hears('runner.listening');
    queueJob();
    expect(await supervised.hears('runner.hung')).toMatchObject({ hang: 'no_job_after_acknowledge' });
    expect(times(supervised, 'job.started')).toBe(0);
    supervised.supervision.kill();
    expect((await endOf(supervised)).verdict).toMatchObject({ outcome: 'hung', well: false });
    await noProcess();
  });

  it('a job that was acknowledged and is not run by a runner that ends with 0 is an orphan', async () => {
    const supervised = await start('exit-without-job');
    await supervised.hears('runner.listening');
    queueJob();
    const end = await endOf(supervised);
    expect(end).toMatchObject({ code: 0, verdict: { outcome: 'job_orphaned', registrationGone: false } });
    expect(times(supervised, 'job.started')).toBe(0);
  });

  it('a worker that does not end after the completed hook is told of, and nothing is done to it (I5)', async () => {
    const supervised = await start('worker-lingers', {}, { workerTimeoutMs: 1_000 });
    await supervised.hears('runner.listening');
    queueJob();
    expect(await supervised.hears('runner.hung')).toMatchObject({ hang: 'worker_lingers' });
    expect([times(supervised, 'job.started'), times(supervised, 'job.finished')]).toEqual([1, 0]);
    expect(ground.processes().length).toBeGreaterThan(1);
    supervised.supervision.stop();
    supervised.supervision.kill();
    expect((await endOf(supervised)).verdict).toMatchObject({ outcome: 'hung' });
    await noProcess();
  });

  it('a runner that is started again and does not listen in time is killed, and told to have hung', async () => {
    ground.install('once:exit:2');
    expect(await ground.configure()).toMatchObject({ kind: 'ok' });
    const supervised = supervise({ startTimeoutMs: 1_500 });
    supervised.supervision.start(ground.registration);
    await supervised.hears('runner.restarting');
    // It cannot open its session now.
    const gate = ground.github.faults.hold('open-session');
    const end = await endOf(supervised);
    gate.release();
    expect(end.verdict).toMatchObject({ outcome: 'hung', well: false });
  });
});

describe('GitHub', () => {
  it('that drops an idle runner ends it, and its registration is known to be gone', async () => {
    const supervised = await start('');
    await supervised.hears('runner.listening');
    const [runner] = ground.github.runners();
    const answer = await fetch(`${ground.github.apiUrl}/orgs/acme/actions/runners/${runner?.id}`, {
      method: 'DELETE',
      headers: { authorization: 'Bearer t' },
    });
    expect(answer.status).toBe(204);
    expect((await endOf(supervised)).verdict).toMatchObject({
      outcome: 'dropped_while_idle',
      registrationGone: true,
      next: 'afterBackoff',
    });
  });

  it('that is lost and comes back is told of, with the times of the runner', async () => {
    const supervised = await start('once:disconnect:300');
    const lost = await supervised.hears('runner.disconnected');
    expect(lost.reason).toMatch(/./);
    expect((await supervised.hears('runner.reconnected')).at).toBeGreaterThanOrEqual(lost.at);
    expect(times(supervised, 'runner.disconnected')).toBe(1);
  });
});

describe('secrets (I8)', () => {
  it('neither token nor JIT config is in what is told, noted or logged', async () => {
    const supervised = await start('once:exit:2');
    await supervised.hears('runner.listening');
    const { token } = ground.registration;
    const all = JSON.stringify([supervised.told, ground.log]);
    expect(all).not.toContain(token);
    expect(readFileSync(path.join(ground.folder, 'runner.json'), 'utf8')).not.toContain(token);
  });
});
