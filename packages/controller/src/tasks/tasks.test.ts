/** Tasks at a real controller, with an agent that was written from the original contract alone. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { TaskResource } from '@mig/common/api/task-resource';
import { until } from '@mig/testkit/github/until';
import { connectForeignAgent, type ForeignAgent } from '@mig/testkit/legacy/foreign-agent';
import {
  startTestController,
  type TestController,
  type TestControllerOptions,
} from '../test-controller.contract.js';
import { readEvents, type ReadEvent } from './read-events.contract.js';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(options: TestControllerOptions = {}): Promise<TestController> {
  const test = await startTestController(options);
  closing.push(() => test.dispose());
  return test;
}

function connect(test: TestController, agentId = 'agent-1', token?: string): ForeignAgent {
  const agent = connectForeignAgent(`127.0.0.1:${test.controller.grpcPort}`, agentId, token);
  closing.push(() => agent.close());
  return agent;
}

/** Submits when the agent is there; a foreign agent sends no hello. */
async function submit(test: TestController, fields: Record<string, unknown> = {}): Promise<TaskResource> {
  const body = { vm_id: 'agent-1', shell: { cmd: 'ls' }, ...fields };
  let answer = await test.call<TaskResource>('POST', '/api/v1/tasks', { body });
  await until('the agent is known', async () => {
    if (answer.status === 404) answer = await test.call<TaskResource>('POST', '/api/v1/tasks', { body });
    return answer.status !== 404;
  });
  expect(answer.status).toBe(202);
  return answer.json;
}

const received = (agent: ForeignAgent, kind: string) =>
  agent.received.filter((message) => message['task'] === kind);
const shell = (taskId: string, fields: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  agent_id: 'agent-1',
  task_id: taskId,
  status: 'IN_PROGRESS',
  shell_execute: fields,
  ...more,
});
const textOf = (events: readonly ReadEvent[]): string =>
  events.map(({ data }) => (data['text'] as string | undefined) ?? '').join('');
const state = (test: TestController, id: string, wanted: string) =>
  test.eventually<TaskResource>(`task is ${wanted}`, `/api/v1/tasks/${id}`, (task) => task.state === wanted);

describe('a task at an agent of the original contract', () => {
  it('goes out with what it is to do; its output comes live, and its record moves along', async () => {
    const test = await start();
    const agent = connect(test);
    const task = await submit(test, {
      shell: { cmd: 'make', env: ['TOKEN=s3cret'], working_dir: '/src' },
    });
    expect(task).toMatchObject({
      state: 'sent',
      shell: { cmd: 'make', env: ['TOKEN'] },
      timeout_ms: 300_000,
    });
    await until('it arrives', () => received(agent, 'shell_execute').length === 1);
    expect(received(agent, 'shell_execute')[0]).toMatchObject({
      agent_id: 'agent-1',
      task_id: task.id,
      shell_execute: { cmd: 'make', env: ['TOKEN=s3cret'], working_dir: '/src' },
    });
    const reader = readEvents(test.controller.httpPort, `/api/v1/tasks/${task.id}/output`);
    agent.send(shell(task.id, { stdout: 'one\n' }));
    await until('the output is seen', () => reader.events.length === 1);
    await state(test, task.id, 'in_progress');
    agent.send(shell(task.id, { stderr: 'oh ä\n' }));
    agent.send(shell(task.id, { exit_code: 3 }, { status: 'FAILURE', is_final: true }));
    await reader.ended;
    expect(reader.events.map(({ type, data }) => [type, data])).toEqual([
      ['output', { stream: 'stdout', text: 'one\n' }],
      ['output', { stream: 'stderr', text: 'oh ä\n' }],
      [
        'end',
        expect.objectContaining({
          id: task.id,
          state: 'failed',
          exit_code: 3,
          output: { bytes: 10, cut_bytes: 0 },
        }),
      ],
    ]);
    // Nothing of the secret is stored or logged (I8).
    expect(test.log.text()).not.toContain('s3cret');
    for (const name of readdirSync(path.join(test.directory, 'data'), { recursive: true }) as string[])
      if (/json$|log$/.test(name))
        expect(readFileSync(path.join(test.directory, 'data', name), 'utf8')).not.toContain('s3cret');
  });

  it('is read again from the place where a reader stopped, also after a restart of the controller', async () => {
    const test = await start();
    const agent = connect(test);
    const task = await submit(test);
    for (const word of ['a', 'b', 'c']) agent.send(shell(task.id, { stdout: word }));
    agent.send(shell(task.id, { exit_code: 0 }, { status: 'COMPLETED', is_final: true }));
    await state(test, task.id, 'completed');
    const output = `/api/v1/tasks/${task.id}/output`;
    const whole = readEvents(test.controller.httpPort, output);
    await whole.ended;
    const place = whole.events[1]?.id ?? '';
    await test.restart();
    const rest = readEvents(test.controller.httpPort, output, { 'last-event-id': place });
    await rest.ended;
    expect(rest.events.map(({ data }) => data['text'] ?? data['state'])).toEqual(['c', 'completed']);
    const refused = await test.call('GET', `${output}?after=../etc`);
    expect(refused.status).toBe(400);
  });

  it('that is cancelled is told so, and ends when its agent says that it ended', async () => {
    const test = await start();
    const agent = connect(test);
    const task = await submit(test);
    const answer = await test.call<TaskResource>('DELETE', `/api/v1/tasks/${task.id}`);
    expect(answer.json.state).toBe('sent');
    await until('the cancellation arrives', () => received(agent, 'task_cancel').length === 1);
    agent.send({
      agent_id: 'agent-1',
      task_id: task.id,
      status: 'FAILURE',
      is_final: true,
      cancelled: true,
      task_cancel: { message: 'done' },
    });
    await state(test, task.id, 'cancelled');
    expect((await test.call('DELETE', `/api/v1/tasks/${task.id}`)).status).toBe(409);
  });

  it('whose time has run out is ended by the controller, as its agent knows of no time', async () => {
    const test = await start();
    const agent = connect(test);
    const task = await submit(test, { timeout_ms: 200 });
    await until('it is told', () => received(agent, 'task_cancel').length === 1);
    agent.send(shell(task.id, { exit_code: 143 }, { status: 'FAILURE', is_final: true, cancelled: true }));
    await state(test, task.id, 'timeout');
  });

  it('whose agent disconnects has failed, and says why', async () => {
    const test = await start();
    const agent = connect(test);
    const task = await submit(test, { resume: true });
    agent.send(shell(task.id, { stdout: 'last words' }));
    await state(test, task.id, 'in_progress');
    agent.close();
    expect(await state(test, task.id, 'failed')).toMatchObject({
      message: 'agent disconnected',
      output: { bytes: 10 },
    });
  });

  it('and a second one at the same time: each has its own output', async () => {
    const test = await start();
    const agent = connect(test);
    const [a, b] = [await submit(test), await submit(test)];
    for (const [id, word] of [
      [a.id, 'a1'],
      [b.id, 'b1'],
      [a.id, 'a2'],
      [b.id, 'b2'],
    ] as const)
      agent.send(shell(id, { stdout: word }));
    for (const { id } of [a, b])
      agent.send(shell(id, { exit_code: 0 }, { status: 'COMPLETED', is_final: true }));
    for (const [task, text] of [
      [a, 'a1a2'],
      [b, 'b1b2'],
    ] as const) {
      await state(test, task.id, 'completed');
      const reader = readEvents(test.controller.httpPort, `/api/v1/tasks/${task.id}/output`);
      await reader.ended;
      expect(textOf(reader.events)).toBe(text);
    }
  });
});

describe('a Docker operation at an agent made from the bare proto/tasks.proto', () => {
  it('arrives as it was asked for; its output, exit code and container are in the record', async () => {
    const test = await start();
    const endpoint = `127.0.0.1:${test.controller.grpcPort}`;
    const agent = connectForeignAgent(endpoint, 'agent-1', undefined, '../../../proto/tasks.proto');
    closing.push(() => agent.close());
    const task = await submit(test, {
      shell: undefined,
      docker: {
        run: { image: 'alpine:3', command: ['echo', 'hi'], env: ['A=b'], labels: { team: 'x' }, rm: true },
      },
    });
    await until('it arrives', () => agent.received.length === 1);
    expect(agent.received[0]).toMatchObject({
      docker_operation: {
        run: {
          image: 'alpine:3',
          command: ['echo', 'hi'],
          env: ['A=b'],
          labels: { team: 'x' },
          rm: true,
          detach: false,
        },
      },
    });
    const answer = (fields: object, more: object = {}) =>
      agent.send({
        agent_id: 'agent-1',
        task_id: task.id,
        status: 'IN_PROGRESS',
        docker_operation: fields,
        ...more,
      });
    answer({ stderr: 'a1b2: Pull complete\n' });
    answer({ stdout: 'hi\n' });
    answer({ exit_code: 4, container_id: 'c0ffee' }, { status: 'FAILURE', is_final: true });
    expect(await state(test, task.id, 'failed')).toMatchObject({ exit_code: 4, container_id: 'c0ffee' });
    const list = await submit(test, { shell: undefined, docker: { list: { all: true } } });
    await until('it arrives', () => agent.received.length === 2);
    agent.send({
      agent_id: 'agent-1',
      task_id: list.id,
      status: 'COMPLETED',
      is_final: true,
      docker_operation: { containers: [{ id: 'c0ffee', names: ['web'], image: 'alpine', state: 'running' }] },
    });
    expect((await state(test, list.id, 'completed')).containers).toMatchObject([
      { id: 'c0ffee', names: ['web'] },
    ]);
  });
});

describe('who may be an agent', () => {
  it('an agent without an id, or with one that is none, is refused', async () => {
    const test = await start();
    expect(await connect(test, '../x').ended).toMatchObject({ code: 3 });
    expect(await connect(test, '').ended).toMatchObject({ code: 3 });
  });

  it('an agent that speaks for another ends its own stream, and the other is not touched', async () => {
    const test = await start();
    const [good, bad] = [connect(test), connect(test, 'agent-2')];
    const task = await submit(test);
    await until('it arrives', () => good.received.length === 1);
    bad.send(shell(task.id, { exit_code: 0 }, { status: 'COMPLETED', is_final: true }));
    expect(await bad.ended).toMatchObject({ code: 7 });
    expect((await test.call<TaskResource>('GET', `/api/v1/tasks/${task.id}`)).json.state).toBe('sent');
    // Nor by its own name for a task that is not its own.
    const sly = connect(test, 'agent-3');
    sly.send({ ...shell(task.id, {}, { status: 'COMPLETED', is_final: true }), agent_id: 'agent-3' });
    good.send(shell(task.id, { exit_code: 0 }, { status: 'COMPLETED', is_final: true }));
    await state(test, task.id, 'completed');
  });

  it('a newer stream of an agent takes the place of the older one', async () => {
    const test = await start();
    const older = connect(test);
    await submit(test);
    const newer = connect(test);
    expect(await older.ended).toMatchObject({ code: 10 });
    await submit(test);
    await until('it arrives', () => newer.received.length === 1);
  });
});

describe('a task that cannot be', () => {
  it('for a VM that nobody knows is refused; the same key again gives the same task', async () => {
    const test = await start();
    const body = { vm_id: 'agent-1', shell: { cmd: 'ls' } };
    expect((await test.call('POST', '/api/v1/tasks', { body })).status).toBe(404);
    connect(test);
    await submit(test);
    const headers = { 'idempotency-key': 'k1' };
    const first = await test.call<TaskResource>('POST', '/api/v1/tasks', { body, headers });
    const second = await test.call<TaskResource>('POST', '/api/v1/tasks', { body, headers });
    expect(second.json.id).toBe(first.json.id);
    const { json } = await test.call<{ tasks: TaskResource[] }>(
      'GET',
      '/api/v1/tasks?vm_id=agent-1&limit=10',
    );
    expect(json.tasks).toHaveLength(2);
  });

  it('with every fault named', async () => {
    const test = await start();
    const body = { vm_id: 'agent-1', shell: { cmd: '', env: ['=x'] }, docker: { list: {} }, timeout_ms: -1 };
    const { status, text } = await test.call('POST', '/api/v1/tasks', { body });
    expect(status).toBe(400);
    for (const place of ['body.shell.cmd', 'body.shell.env', 'body.timeout_ms'])
      expect(text).toContain(place);
  });

  it('beyond the number that a VM may have is refused: 429', async () => {
    const test = await start({ config: { tasks: { max_per_vm: 2 } } as never });
    connect(test);
    await submit(test);
    await submit(test);
    const body = { vm_id: 'agent-1', shell: { cmd: 'ls' } };
    expect((await test.call('POST', '/api/v1/tasks', { body })).status).toBe(429);
  });

  it('that nobody takes in its time has failed, and says what to look at', async () => {
    const test = await start();
    await test.miglet({ vmId: 'vm-1' });
    const { json } = await test.call<TaskResource>('POST', '/api/v1/tasks', {
      body: { vm_id: 'vm-1', shell: { cmd: 'ls' }, delivery_timeout_ms: 50 },
    });
    expect((await state(test, json.id, 'failed')).message).toMatch(
      /did not take it within 50ms.*tasks\.enabled/,
    );
  });
});

describe('much output', () => {
  const CHUNK = 'x'.repeat(30_000);

  it('that nobody reads is cut in its middle, and the reader is told how much is missing', async () => {
    const test = await start({ config: { tasks: { output_bytes: 400_000 } } as never });
    const agent = connect(test);
    const task = await submit(test);
    for (let at = 0; at < 50; at += 1) {
      if (!agent.send(shell(task.id, { stdout: CHUNK }))) await agent.drained();
    }
    agent.send(shell(task.id, { exit_code: 0 }, { status: 'COMPLETED', is_final: true }));
    const { output } = await state(test, task.id, 'completed');
    const reader = readEvents(test.controller.httpPort, `/api/v1/tasks/${task.id}/output`);
    await reader.ended;
    const gap = reader.events.find(({ type }) => type === 'gap');
    const kept = textOf(reader.events).length;
    expect(output.bytes).toBe(1_500_000);
    expect(gap?.data).toEqual({ cut_bytes: output.cut_bytes });
    expect(kept + output.cut_bytes).toBe(1_500_000);
    expect(kept).toBeLessThanOrEqual(400_000);
  });

  it('that is held waits for its reader: the agent is not read, and nothing is missing at the end', async () => {
    const test = await start({ config: { tasks: { output_bytes: 8_000_000 } } as never });
    const agent = connect(test);
    const task = await submit(test, { hold_output: true });
    let sent = 0;
    const sending = (async () => {
      for (; sent < 700; sent += 1) {
        if (!agent.send(shell(task.id, { stdout: CHUNK }))) await agent.drained();
      }
      agent.send(shell(task.id, { exit_code: 0 }, { status: 'COMPLETED', is_final: true }));
    })();
    const stored = async () =>
      (await test.call<TaskResource>('GET', `/api/v1/tasks/${task.id}`)).json.output.bytes;
    let before = -1;
    await until(
      'it stands still',
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 200));
        const now = await stored();
        const still = now > 0 && now === before;
        before = now;
        return still;
      },
      10_000,
    );
    expect(await stored()).toBeLessThan(4_000_000);
    const reader = readEvents(test.controller.httpPort, `/api/v1/tasks/${task.id}/output`);
    await sending;
    await reader.ended;
    const got = textOf(reader.events).length;
    expect(got).toBe(700 * CHUNK.length);
    expect(reader.events.some(({ type }) => type === 'gap')).toBe(false);
  });
});
