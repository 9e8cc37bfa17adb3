/** Bodies that are refused: each as a problem with a stable type, a status, and a text that names the fault. */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startTestController, type CallOptions, type TestController } from '../test-controller.contract.js';
import { expectProblem } from './expect-problem.contract.js';

const LOG_LEVEL = { type: 'set_log_level', parameters: { level: 'debug' } };
const COMMANDS = '/api/v1/vms/vm-1/commands';
const EVENTS = '/api/v1/vms/vm-1/events';
const event = (fields: object = {}) => ({ type: 'vm_started', pool_id: 'pool-a', ...fields });
const text = (fields: object) => ({ body: { ...LOG_LEVEL, ...fields } });

let test: TestController;
beforeAll(async () => {
  test = await startTestController({ config: { limits: { body_bytes: 10_000, open_commands_per_vm: 2 } } });
  await test.miglet();
});
afterAll(() => test.dispose());

describe('a refusal', () => {
  it.each<[string, string, string, CallOptions | undefined, number, string, RegExp]>([
    [
      'an unknown type',
      'POST',
      COMMANDS,
      text({ type: 'reboot' }),
      400,
      'bad-command',
      /type "reboot" is unknown; the types are/,
    ],
    [
      'a wrong parameter',
      'POST',
      COMMANDS,
      text({ parameters: { level: 'loud' } }),
      400,
      'bad-command',
      /parameter level: "loud" is not one of/,
    ],
    [
      'a missing parameter',
      'POST',
      COMMANDS,
      text({ parameters: {} }),
      400,
      'bad-command',
      /parameter level is missing/,
    ],
    [
      'a parameter of no kind',
      'POST',
      COMMANDS,
      text({ parameters: { level: {} } }),
      400,
      'bad-request',
      /parameters\.level/,
    ],
    ['no type', 'POST', COMMANDS, { body: {} }, 400, 'bad-request', /body\.type/],
    [
      'a deadline of 0',
      'POST',
      COMMANDS,
      text({ delivery_deadline_ms: 0 }),
      400,
      'bad-request',
      /delivery_deadline_ms/,
    ],
    [
      'an empty idempotency key',
      'POST',
      COMMANDS,
      { ...text({}), headers: { 'idempotency-key': '' } },
      400,
      'bad-request',
      /idempotency-key/,
    ],
    [
      'a key that is too long',
      'POST',
      COMMANDS,
      { ...text({}), headers: { 'idempotency-key': 'x'.repeat(201) } },
      400,
      'bad-request',
      /idempotency-key/,
    ],
    ['no body', 'POST', COMMANDS, undefined, 400, 'bad-request', /body/],
    ['torn JSON', 'POST', COMMANDS, { body: '{"type": ' }, 400, 'bad-request', /JSON/i],
    ['JSON that is no object', 'POST', COMMANDS, { body: '[]' }, 400, 'bad-request', /body/],
    [
      'a prototype in JSON',
      'POST',
      COMMANDS,
      { body: '{"type":"drain","parameters":{"__proto__":{"x":1}}}' },
      400,
      'bad-request',
      /./,
    ],
    [
      'a body that is too large',
      'POST',
      COMMANDS,
      { body: `"${'x'.repeat(20_000)}"` },
      413,
      'bad-request',
      /too large/,
    ],
    [
      'a form',
      'POST',
      COMMANDS,
      { body: 'type=drain', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'bad-request',
      /Media Type/,
    ],
    [
      'JSON that says it is text',
      'POST',
      COMMANDS,
      { body: JSON.stringify(LOG_LEVEL), headers: { 'content-type': 'text/plain' } },
      400,
      'bad-request',
      /body/,
    ],
    ['an event of no pool', 'POST', EVENTS, { body: { type: 'x' } }, 400, 'bad-request', /pool_id/],
    [
      'an event whose type is a path (I10)',
      'POST',
      EVENTS,
      { body: event({ type: '../x' }) },
      400,
      'bad-request',
      /body\.type/,
    ],
    [
      "another VM's event (I10)",
      'POST',
      EVENTS,
      { body: event({ vm_id: 'vm-2' }) },
      400,
      'bad-request',
      /vm_id in the body is vm-2, but the path says vm-1/,
    ],
    [
      "another VM's heartbeat (I10)",
      'POST',
      '/api/v1/vms/vm-1/heartbeat',
      { body: { vm_id: 'vm-2', pool_id: 'p' } },
      400,
      'bad-request',
      /vm-2/,
    ],
    [
      'a heartbeat of an unknown VM',
      'POST',
      '/api/v1/vms/ghost/heartbeat',
      { body: { pool_id: 'p' } },
      404,
      'unknown-vm',
      /ghost/,
    ],
    [
      'an ack of an unknown VM',
      'POST',
      '/api/v1/vms/ghost/commands/cmd-1/ack',
      { body: { success: true } },
      404,
      'unknown-vm',
      /ghost/,
    ],
    [
      'an ack of an unknown command',
      'POST',
      `${COMMANDS}/cmd-1/ack`,
      { body: { success: true } },
      404,
      'unknown-command',
      /cmd-1/,
    ],
    [
      'an ack without its result',
      'POST',
      `${COMMANDS}/cmd-1/ack`,
      { body: {} },
      400,
      'bad-request',
      /success/,
    ],
    [
      'a token when there is no GitHub',
      'POST',
      '/api/v1/vms/vm-1/registration-token',
      { body: {} },
      503,
      'github-unavailable',
      /no GitHub is configured: set github\.auth/,
    ],
  ])('%s', async (_, method, target, options, status, type, detail) => {
    const answer = await expectProblem(test, method, target, options);
    expect(answer).toMatchObject({ status, type: `urn:mig:problem:${type}` });
    expect(answer.detail).toMatch(detail);
  });

  it('names every fault of a bad command', async () => {
    const { errors } = await expectProblem(
      test,
      'POST',
      COMMANDS,
      text({ parameters: { level: 5, force: true } }),
    );
    expect(errors).toHaveLength(2);
  });

  it('beyond the limit of open commands says to come again later', async () => {
    const accepted = [];
    for (let n = 0; n < 2; n += 1) accepted.push(await test.call('POST', COMMANDS, text({})));
    expect(accepted.map((answer) => answer.status)).toEqual([202, 202]);
    const { status, headers, json } = await test.call('POST', COMMANDS, text({}));
    expect({ status, retry: headers['retry-after'] }).toEqual({ status: 429, retry: '5' });
    expect(json).toMatchObject({ type: 'urn:mig:problem:too-many-commands' });
  });

  it('because nothing can be stored says so, and nothing was accepted (I1, I4)', async () => {
    const folder = path.join(test.directory, 'data', '.wal');
    await rm(folder, { recursive: true });
    await writeFile(folder, 'a file where the folder of the log should be');
    const started = await test.call('POST', '/api/v1/vms/vm-full/events', { body: event() });
    expect(started.status).toBe(503);
    expect(started.headers['retry-after']).toBe('5');
    expect(started.json).toMatchObject({ type: 'urn:mig:problem:store-unavailable' });
    expect((await test.call('GET', '/api/v1/vms/vm-full')).status).toBe(404);
    await rm(folder);
    expect((await test.call('POST', '/api/v1/vms/vm-full/events', { body: event() })).status).toBe(200);
  });
});
