import { describe, expect, it } from '@jest/globals';
import { silentLogger } from '@mig/common/logger';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import type { StartTask, TaskResponse } from '@mig/common/domain/task-messages';
import { until } from '@mig/testkit/github/until';
import { createResponseQueue } from './response-queue.js';
import { createTaskDesk, type RunWork, type TaskDeskOptions } from './task-desk.js';
import { succeeded, type TaskOutput, type TaskResult } from './task-output.js';

interface Running {
  readonly request: StartTask;
  readonly output: TaskOutput;
  readonly signal: AbortSignal;
  finish(result?: Partial<TaskResult>): void;
}

function createDesk(options: Partial<TaskDeskOptions> = {}) {
  const clock = createManualClock();
  const queue = createResponseQueue();
  const running = new Map<string, Running>();
  const run: RunWork = (request, { output, signal }) =>
    new Promise((resolve) => {
      const finish = (result: Partial<TaskResult> = {}) => resolve({ ...succeeded, ...result });
      signal.addEventListener('abort', () => finish({ success: false, exitCode: 143, signal: 'SIGTERM' }));
      running.set(request.taskId, { request, output, signal, finish });
    });
  const desk = createTaskDesk(
    { queue, run, clock, logger: silentLogger },
    { agentId: 'vm-1', graceMs: 10, maxTasks: 2, allow: { commands: [], images: [] }, ...options },
  );
  const sent: TaskResponse[] = [];
  /** As the stream does. */
  const take = (): TaskResponse[] => {
    const taken: TaskResponse[] = [];
    for (let next = queue.take(); next !== undefined; next = queue.take()) taken.push(next);
    sent.push(...taken);
    return taken;
  };
  const start = (taskId: string, more: Partial<StartTask> = {}): void =>
    desk.take({
      kind: 'start',
      agentId: 'vm-1',
      taskId,
      work: { kind: 'shell', cmd: 'ls', env: [], workingDir: '' },
      timeoutMs: 0,
      graceMs: 0,
      resumeMs: 0,
      rawOutput: false,
      windowBytes: 0,
      ...more,
    });
  const final = async (taskId: string): Promise<TaskResponse> => {
    await until(`${taskId} ends`, () => {
      take();
      return sent.some((response) => response.taskId === taskId && response.isFinal);
    });
    return sent.find((response) => response.taskId === taskId && response.isFinal) as TaskResponse;
  };
  return { clock, queue, running, desk, take, start, final, sent };
}
const chunk = (text: string) => ['stdout', Buffer.from(text)] as const;

describe('a task', () => {
  it('says that it runs, then what it writes, then how it ended', async () => {
    const { start, running, take, final } = createDesk();
    start('t1');
    expect(take()).toMatchObject([{ taskId: 't1', status: 'in_progress', isFinal: false, sequence: 1 }]);
    void running.get('t1')?.output.write(...chunk('hello'));
    expect(take()).toMatchObject([{ chunks: [{ stream: 'stdout' }], sequence: 2 }]);
    running.get('t1')?.finish({ success: false, exitCode: 3 });
    expect(await final('t1')).toMatchObject({
      status: 'failure',
      exitCode: 3,
      cancelled: false,
      sequence: 3,
    });
  });

  it('that is asked for again does not run again, neither while it runs nor afterwards', async () => {
    const { start, running, final, desk } = createDesk();
    start('t1');
    const first = running.get('t1');
    start('t1');
    expect(running.get('t1')).toBe(first);
    first?.finish();
    await final('t1');
    await until('it is forgotten', () => desk.runningCount === 0);
    start('t1');
    expect(desk.runningCount).toBe(0);
  });

  it('beyond the number that the VM takes is refused, and says why', async () => {
    const { start, final } = createDesk();
    for (const id of ['t1', 't2', 't3']) start(id);
    expect(await final('t3')).toMatchObject({ status: 'failure', message: /max_parallel/ });
  });

  it('that the allow-list does not name is refused; a wildcard lets no second command through', async () => {
    const { start, final, running } = createDesk({
      maxTasks: 10,
      allow: { commands: ['df -h', 'ls *'], images: ['tools/*'] },
    });
    const shell = (cmd: string) => ({ work: { kind: 'shell', cmd, env: [], workingDir: '' } }) as const;
    start('a', shell('df -h'));
    start('b', shell('ls -l /tmp'));
    start('c', shell('ls /tmp; rm -rf /'));
    start('d', shell('df -h /'));
    start('e', { work: { kind: 'docker', operation: { kind: 'pull', image: 'tools/curl:8' } } });
    start('f', { work: { kind: 'docker', operation: { kind: 'pull', image: 'other/tools/curl' } } });
    for (const id of ['c', 'd', 'f'])
      expect(await final(id)).toMatchObject({ status: 'failure', message: /does not allow/ });
    expect([...running.keys()]).toEqual(['a', 'b', 'e']);
  });
});

describe('the end of a task', () => {
  it('by cancellation says so, whatever its exit code', async () => {
    const { start, desk, final, take } = createDesk();
    start('t1');
    desk.take({ kind: 'cancel', agentId: 'vm-1', taskId: 't1', reason: 'not needed' });
    expect(take().at(-1)).toMatchObject({ about: 'cancel', isFinal: false });
    expect(await final('t1')).toMatchObject({ cancelled: true, message: 'not needed', signal: 'SIGTERM' });
  });

  it('by its time says so', async () => {
    const { start, clock, final } = createDesk();
    start('t1', { timeoutMs: 1_000 });
    clock.advance(1_000);
    expect(await final('t1')).toMatchObject({ timedOut: true, cancelled: false });
  });

  it('of a task that is not here is told at once', async () => {
    const { desk, final } = createDesk();
    desk.take({ kind: 'cancel', agentId: 'vm-1', taskId: 'nowhere', reason: '' });
    expect(await final('nowhere')).toMatchObject({ status: 'failure', about: 'cancel' });
    desk.take({ kind: 'ack', agentId: 'vm-1', taskId: 'lost', sequence: 3 });
    expect(await final('lost')).toMatchObject({ status: 'failure', message: /restarted/ });
  });
});

describe('a stream that breaks', () => {
  it('ends a task that is not to be resumed', async () => {
    const { start, running, desk } = createDesk();
    start('t1');
    desk.disconnected();
    expect(running.get('t1')?.signal.aborted).toBe(true);
    await until('it has ended', () => desk.runningCount === 0);
  });

  it('and comes back in time: the task goes on, and what was not acknowledged is sent again, with its number', async () => {
    const { start, running, desk, queue, take, clock } = createDesk();
    start('t1', { resumeMs: 5_000, windowBytes: 10_000 });
    void running.get('t1')?.output.write(...chunk('one'));
    void running.get('t1')?.output.write(...chunk('two'));
    expect(take().map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    desk.take({ kind: 'ack', agentId: 'vm-1', taskId: 't1', sequence: 2 });
    desk.disconnected();
    clock.advance(4_000);
    queue.rewind();
    desk.connected();
    clock.advance(4_000);
    expect(take()).toMatchObject([{ sequence: 3, chunks: [{ stream: 'stdout' }] }]);
    expect(running.get('t1')?.signal.aborted).toBe(false);
  });

  it('and does not come back in time ends the task', async () => {
    const { start, running, desk, clock } = createDesk();
    start('t1', { resumeMs: 5_000, windowBytes: 10_000 });
    desk.disconnected();
    clock.advance(5_000);
    expect(running.get('t1')?.signal.aborted).toBe(true);
  });
});

describe('back-pressure', () => {
  it('a task whose window is full waits for an acknowledgement, and another is not kept by it', async () => {
    const { start, running, desk, take } = createDesk();
    start('fast', { windowBytes: 1_000 });
    start('slow', { windowBytes: 1_000 });
    let written = 0;
    const write = async () => {
      for (; written < 10; written += 1) await running.get('fast')?.output.write('stdout', Buffer.alloc(400));
    };
    void write();
    await until('the window is full', () => {
      take();
      return written === 2;
    });
    await new Promise(setImmediate);
    expect(written).toBe(2);
    void running.get('slow')?.output.write(...chunk('hello'));
    expect(take()).toMatchObject([{ taskId: 'slow' }]);
    desk.take({ kind: 'ack', agentId: 'vm-1', taskId: 'fast', sequence: 3 });
    await until('it goes on', () => written >= 3);
  });

  it('without acknowledgements, each write waits until the stream has taken it', async () => {
    const { start, running, take } = createDesk();
    start('t1');
    let done = false;
    void running
      .get('t1')
      ?.output.write(...chunk('x'))
      .then(() => (done = true));
    await new Promise(setImmediate);
    expect(done).toBe(false);
    take();
    await until('it was taken', () => done);
  });
});
