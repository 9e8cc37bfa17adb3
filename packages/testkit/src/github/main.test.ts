import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createAppKey } from './app/app-key.js';
import { startObserved, type ObservedProcess } from '../runner/observed-process.js';
import { readMainOptions } from './main-options.js';
import { createStandInGitHub } from './stand-in-github.js';

const MAIN = fileURLToPath(new URL('../../dist/github/main.js', import.meta.url));
const ENV = { PATH: process.env['PATH'], STAND_IN_GITHUB_TOKEN: 'secret' };

const running: ObservedProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) {
    child.kill('SIGKILL');
    await child.exited;
  }
});

function startMain(...args: string[]): ObservedProcess {
  const child = startObserved(process.execPath, [MAIN, ...args], ENV);
  running.push(child);
  return child;
}

describe('process', () => {
  it('says where it listens and what happens, and ends with 0 on SIGTERM', async () => {
    const child = startMain('--jobs-every', '20ms', '--job-seconds', '1..2', '--seed', '1', '--org', 'demo');
    const listening = JSON.parse(await child.waitForLine(/"listening"/)) as Record<string, string>;
    expect(listening).toMatchObject({ organization_url: `${listening['url']}/demo`, pid: child.pid });
    await child.waitForLine(/"job_queued"/);
    const answer = await fetch(`${listening['url']}/rate_limit`, {
      headers: { authorization: 'token secret' },
    });
    expect(answer.status).toBe(200);
    child.kill('SIGTERM');
    expect(await child.exited).toEqual({ code: 0, signal: null });
    for (const line of child.lines) expect(JSON.parse(line)).toHaveProperty('event');
  });

  it('says which request is not what GitHub describes', async () => {
    const child = startMain();
    const listening = JSON.parse(await child.waitForLine(/"listening"/)) as Record<string, string>;
    await fetch(`${listening['url']}/orgs/acme/runners`, { headers: { authorization: 'token secret' } });
    expect(JSON.parse(await child.waitForLine(/"request_rejected"/))).toMatchObject({
      method: 'GET',
      path: '/orgs/acme/runners',
      operation: null,
    });
  });

  it('ends with its parent', async () => {
    const parent = startObserved(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], ENV);
    running.push(parent);
    const child = startMain('--exit-with-parent', String(parent.pid));
    await child.waitForLine(/"listening"/);
    parent.kill('SIGKILL');
    expect(await child.exited).toEqual({ code: 0, signal: null });
  });

  it('names a port that is taken', async () => {
    const taken = await createStandInGitHub({ tokens: ['x'] });
    const child = startMain('--port', String(taken.port));
    expect((await child.exited).code).toBe(1);
    expect(child.lines.join('\n')).toContain(`cannot listen on port ${taken.port}`);
    await taken.close();
  });
});

describe('command line', () => {
  it('reports all faults at once, with flag, value and what is allowed', () => {
    expect(readMainOptions(['--port', '99999', '--jobs-every', 'soon', '--job-seconds', '8..2'], {})).toEqual(
      {
        kind: 'refused',
        faults: [
          'There is no API token: use --token-file FILE or the variable STAND_IN_GITHUB_TOKEN, or an App with --app-key-file',
          '--job-seconds "8..2" is not valid: use MIN..MAX in seconds, such as 2..8',
          '--port "99999" is not valid: use a number up to 65535',
          '--jobs-every "soon" is not valid: use a duration such as 3s',
        ],
      },
    );
  });

  it('reads an App and its webhook, and refuses a key that is none', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'stand-in-'));
    const { privateKey } = createAppKey();
    const write = (name: string, content: string) => {
      writeFileSync(path.join(folder, name), content);
      return path.join(folder, name);
    };
    const key = write('app.pem', privateKey);
    const args = [
      ...['--app-key-file', key, '--app-id', '7'],
      ...['--webhook-url', 'http://127.0.0.1:1/hook', '--webhook-secret-file', write('secret', 'shh\n')],
      ...['--jit-idle-removal', '5m', '--enterprise', 'big', '--api-prefix', '/api/v3'],
    ];
    expect(readMainOptions(args, ENV)).toMatchObject({
      kind: 'ok',
      options: {
        github: {
          app: { id: 7, keys: [privateKey.trim()] },
          webhook: { url: 'http://127.0.0.1:1/hook', secret: 'shh' },
          jitIdleRemovalMs: 300_000,
          enterprise: 'big',
          apiPrefix: '/api/v3',
        },
      },
    });
    expect(readMainOptions(args, {})).toMatchObject({ kind: 'ok', options: { github: { tokens: [] } } });
    const wrong = ['--app-key-file', write('none', 'x'), '--webhook-url', 'here', '--api-prefix', 'api'];
    const refused = readMainOptions(wrong, ENV);
    rmSync(folder, { recursive: true });
    expect(refused).toMatchObject({
      faults: [
        expect.stringMatching(/^--app-key-file .* is not valid: use a file that holds an RSA key in PEM$/),
        expect.stringMatching(/^--webhook-url "here" is not valid/),
        expect.stringMatching(/^--api-prefix "api" is not valid/),
      ],
    });
    expect(readMainOptions(['--app-id', '7'], ENV)).toMatchObject({
      faults: ['--app-id needs --app-key-file: give the key of the App too'],
    });
  });

  it('refuses a flag that nobody knows', () => {
    expect(readMainOptions(['--prot', '1'], ENV)).toMatchObject({ kind: 'refused' });
  });

  it('reads the token from a file and everything in its unit', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'stand-in-'));
    writeFileSync(path.join(folder, 'token'), 'from-file\n');
    const reading = readMainOptions(
      [
        '--token-file',
        path.join(folder, 'token'),
        '--jobs-every',
        '3s',
        '--job-seconds',
        '0.5..2',
        '--port',
        '1',
      ],
      {},
    );
    rmSync(folder, { recursive: true });
    expect(reading).toEqual({
      kind: 'ok',
      options: {
        github: { tokens: ['from-file'], port: 1, jobsEveryMs: 3000, jobDurationMs: { min: 500, max: 2000 } },
        parentPid: undefined,
      },
    });
  });
});
