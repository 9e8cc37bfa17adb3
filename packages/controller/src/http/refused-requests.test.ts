/** Routes, ids and queries that are refused: each as a problem with a stable type, a status, and a text that names the fault. */
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startTestController, type CallOptions, type TestController } from '../test-controller.contract.js';
import { expectProblem } from './expect-problem.contract.js';

const LOG_LEVEL = { type: 'set_log_level', parameters: { level: 'debug' } };
const text = (fields: object) => ({ body: { ...LOG_LEVEL, ...fields } });

let test: TestController;
beforeAll(async () => {
  test = await startTestController();
  await test.miglet();
});
afterAll(() => test.dispose());

describe('a refusal', () => {
  it.each<[string, string, string, CallOptions | undefined, number, string, RegExp]>([
    [
      'an unknown route',
      'GET',
      '/api/v1/nothing?x=1',
      undefined,
      404,
      'not-found',
      /there is no GET \/api\/v1\/nothing; GET \/api\/v1\/openapi\.json lists/,
    ],
    ['a wrong method', 'PUT', '/api/v1/vms', undefined, 404, 'not-found', /there is no PUT/],
    [
      'an unknown VM',
      'GET',
      '/api/v1/vms/ghost',
      undefined,
      404,
      'unknown-vm',
      /VM ghost has never been seen by this controller/,
    ],
    ['events of an unknown VM', 'GET', '/api/v1/vms/ghost/events', undefined, 404, 'unknown-vm', /ghost/],
    [
      'heartbeats of an unknown VM',
      'GET',
      '/api/v1/vms/ghost/heartbeats',
      undefined,
      404,
      'unknown-vm',
      /ghost/,
    ],
    [
      'a command for an unknown VM',
      'POST',
      '/api/v1/vms/ghost/commands',
      text({}),
      404,
      'unknown-vm',
      /ghost/,
    ],
    ['an unknown command', 'GET', '/api/v1/commands/cmd-none', undefined, 404, 'unknown-command', /cmd-none/],
    [
      'cancelling an unknown command',
      'DELETE',
      '/api/v1/commands/cmd-none',
      undefined,
      404,
      'unknown-command',
      /cmd-none/,
    ],
    [
      'a path as id (I10)',
      'GET',
      '/api/v1/vms/..%2f..%2fetc',
      undefined,
      400,
      'bad-request',
      /vm_id.*use 1 to 63 of a-z/,
    ],
    ['an encoded path as id (I10)', 'GET', '/api/v1/vms/%2e%2e', undefined, 400, 'bad-request', /vm_id/],
    [
      'a path as id of a command (I10)',
      'GET',
      '/api/v1/commands/..%5cx',
      undefined,
      400,
      'bad-request',
      /id/,
    ],
    ['a zero byte in an id (I10)', 'GET', '/api/v1/vms/a%00', undefined, 400, 'bad-request', /vm_id/],
    [
      'dots in the path itself',
      'GET',
      '/api/v1/vms/../../../etc/passwd',
      undefined,
      404,
      'not-found',
      /there is no GET/,
    ],
    [
      'an id that is too long',
      'GET',
      `/api/v1/vms/${'x'.repeat(64)}`,
      undefined,
      400,
      'bad-request',
      /vm_id/,
    ],
    [
      'an id that is far too long',
      'GET',
      `/api/v1/vms/${'x'.repeat(2_000)}`,
      undefined,
      414,
      'bad-request',
      /./,
    ],
    ['a path that cannot be decoded', 'GET', '/api/v1/vms/%zz', undefined, 400, 'bad-request', /./],
    ['a limit of 0', 'GET', '/api/v1/vms?limit=0', undefined, 400, 'bad-request', /limit/],
    ['a limit that is too large', 'GET', '/api/v1/vms?limit=10001', undefined, 400, 'bad-request', /limit/],
    [
      'a limit that is no number',
      'GET',
      '/api/v1/commands?limit=many',
      undefined,
      400,
      'bad-request',
      /limit/,
    ],
    [
      'a cursor of nobody',
      'GET',
      '/api/v1/vms?cursor=abc',
      undefined,
      400,
      'bad-request',
      /cursor is not valid: take it from next_cursor/,
    ],
    [
      'a state that no command has',
      'GET',
      '/api/v1/commands?state=lost',
      undefined,
      400,
      'bad-request',
      /state.*queued/,
    ],
    [
      'a liveness that no VM has',
      'GET',
      '/api/v1/vms?liveness=dead',
      undefined,
      400,
      'bad-request',
      /liveness.*alive/,
    ],
  ])('%s', async (_, method, target, options, status, type, detail) => {
    const answer = await expectProblem(test, method, target, options);
    expect(answer).toMatchObject({ status, type: `urn:mig:problem:${type}` });
    expect(answer.detail).toMatch(detail);
  });

  it('of what is no HTTP ends that connection only', async () => {
    const socket = net.connect(test.controller.httpPort, '127.0.0.1');
    socket.end('\0\0 no http\r\n\r\n');
    const answer = await new Promise<string>((resolve) => {
      let received = '';
      socket.on('data', (chunk) => (received += chunk.toString()));
      socket.on('close', () => resolve(received));
      socket.on('error', () => undefined);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400/);
    expect((await test.call('GET', '/healthz')).status).toBe(200);
  });
});
