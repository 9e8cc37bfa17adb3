import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { migctl, type RunOptions } from '../run-migctl.contract.js';
import { makeVm, problem, ScriptedController } from '../scripted-controller.contract.js';

let controller: ScriptedController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
  controller.addVm('vm-1');
});
afterEach(() => controller.stop());
const run = (line: string, options: RunOptions = {}) => migctl(line.split(' '), { controller, ...options });

describe('no controller', () => {
  it('when the connection is refused, then it names the address and the remedies', async () => {
    await controller.stop();
    expect(await run('get vms')).toMatchObject({
      code: 1,
      stdout: '',
      stderr:
        `error: no controller answers at ${controller.url} (connection refused)\n` +
        'hint: start one with `npm start`, or name it with --server or MIGCTL_SERVER\n',
    });
  });

  it('when the name of the host is unknown, then it says that nobody answers there', async () => {
    const fetch = () =>
      Promise.reject(
        new TypeError('fetch failed', {
          cause: Object.assign(new Error('getaddrinfo ENOTFOUND nowhere'), { code: 'ENOTFOUND' }),
        }),
      );
    expect(await run('get vms --server http://nowhere:1', { fetch })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        'no controller answers at http://nowhere:1 (getaddrinfo ENOTFOUND nowhere)',
      ),
    });
  });

  it('when several addresses refuse, then that is a refused connection', async () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    const fetch = () =>
      Promise.reject(new TypeError('fetch failed', { cause: new AggregateError([refused, refused]) }));
    expect((await run('get vms', { fetch })).stderr).toContain('connection refused');
  });

  it('when it never answers, then it gives up after --request-timeout', async () => {
    controller.intercept = () => true;
    expect(await run('get vms --request-timeout 50ms')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/did not answer within 50ms\nhint: .*--request-timeout/),
    });
  });

  it('when the certificate is not trusted, then it repeats the reason', async () => {
    const fetch = () =>
      Promise.reject(new TypeError('fetch failed', { cause: new Error('self-signed certificate') }));
    expect(await run('get vms --server https://127.0.0.1:1', { fetch })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot ask https://127.0.0.1:1: self-signed certificate'),
    });
  });
});

describe('a connection that breaks', () => {
  it('when it breaks twice, then a GET is sent a third time', async () => {
    let cuts = 0;
    controller.intercept = (_, response) => {
      if (cuts === 2) return false;
      cuts += 1;
      response.socket?.destroy();
      return true;
    };
    expect(await run('get vms -o name')).toMatchObject({ code: 0, stdout: 'vm-1\n' });
  });

  it('when it breaks every time, then it gives up after three', async () => {
    controller.intercept = (_, response) => {
      response.socket?.destroy();
      return true;
    };
    expect(await run('get vms')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('was lost before an answer came'),
    });
    expect(controller.requests).toHaveLength(3);
  });

  it('when the answer breaks off in the middle, then it is asked for again', async () => {
    let cut = false;
    controller.intercept = (_, response) => {
      if (cut) return false;
      cut = true;
      response.writeHead(200, { 'content-length': 1_000 }).write('{"vms":[');
      setImmediate(() => response.socket?.destroy());
      return true;
    };
    expect(await run('get vms -o name')).toMatchObject({ code: 0, stdout: 'vm-1\n' });
  });
});

describe('an answer that is none', () => {
  it('when it is the problem of a full disk or a fault, then its detail is the message', async () => {
    controller.intercept = (_, response) => {
      problem(response, 500, 'internal', 'unexpected error of the controller');
      return true;
    };
    expect(await run('get vms')).toMatchObject({
      code: 1,
      stderr: "error: unexpected error of the controller\nhint: look at the controller's log\n",
    });
  });

  it.each([
    [200, 'text/html', '<html>', 'not the operator API of a controller'],
    [404, 'text/html', 'nothing here', 'not the operator API of a controller'],
    [302, 'text/html', '', 'answered HTTP 302'],
    [502, 'text/html', 'bad gateway', 'cannot answer now'],
  ])('when it is HTTP %i of %s, then it says what came', async (status, type, body, message) => {
    controller.intercept = (_, response) => {
      response.writeHead(status, { 'content-type': type, location: '/elsewhere' }).end(body);
      return true;
    };
    expect(await run('get vms')).toMatchObject({ code: 1, stderr: expect.stringContaining(message) });
  });

  it('when it breaks the schema, then it names the field and hints at the versions', async () => {
    controller.intercept = (_, response) => {
      response.end(JSON.stringify({ vms: [{ ...makeVm('vm-1'), link: 'dangling' }] }));
      return true;
    };
    expect(await run('get vms')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/not understood: .*link|not understood/),
    });
  });

  it('when another protocol answers, then it hints at the gRPC address', async () => {
    const other = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    expect((await run(`get vms --server 127.0.0.1:${port}`)).stderr).toContain('not its gRPC address');
    await new Promise((resolve) => other.close(resolve));
  });
});

describe('--server', () => {
  it('when it is given, then it counts more than MIGCTL_SERVER, wherever it stands', async () => {
    const env = { MIGCTL_SERVER: 'http://127.0.0.1:1' };
    expect((await run(`--server ${controller.url}/ get vms -o name`, { env })).stdout).toBe('vm-1\n');
    expect(
      (await run(`get vms -o name --server=${controller.url.replace('http://', '')}`, { env })).stdout,
    ).toBe('vm-1\n');
  });

  it.each(['ftp://host', 'http://', 'http://host/?a=1'])(
    'when it is %s, then it is a usage error',
    async (server) => {
      expect(await run(`get vms --server ${server}`)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('--server'),
      });
    },
  );

  it('when it holds a password, then it is refused without being repeated', async () => {
    const { code, stderr } = await run('get vms', { env: { MIGCTL_SERVER: 'http://me:s3cret@host' } });
    expect(code).toBe(2);
    expect(stderr).toContain('MIGCTL_SERVER');
    expect(stderr).not.toContain('s3cret');
  });
});
