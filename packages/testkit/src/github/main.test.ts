import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
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
          'There is no API token: use --token-file FILE or the variable STAND_IN_GITHUB_TOKEN',
          '--job-seconds "8..2" is not valid: use MIN..MAX in seconds, such as 2..8',
          '--port "99999" is not valid: use a number up to 65535',
          '--jobs-every "soon" is not valid: use a duration such as 3s',
        ],
      },
    );
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
