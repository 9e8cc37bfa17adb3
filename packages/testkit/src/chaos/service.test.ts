/** A process that is started again, killed, frozen, and told when to end: on real processes. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { until } from '../github/until.js';
import { createService, type Service } from './service.js';
import { createVmHistoryReader } from './vm-history.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-service-'));
const logFile = path.join(folder, 'service.log');
let service: Service | undefined;

afterEach(async () => {
  await service?.end('SIGKILL', 0);
  service = undefined;
  rmSync(logFile, { force: true });
});

/** Says something all the time, ends with 3 on SIGTERM, and does to itself what its plan says. */
const PROGRAM = `
process.on('SIGTERM', () => process.exit(3));
const [, does] = /=(kill|stop)@/.exec(process.env.MIG_TEST_POINTS_PLAN ?? '') ?? [];
if (does) process.kill(process.pid, does === 'kill' ? 'SIGKILL' : 'SIGSTOP');
setInterval(() => process.stdout.write('{"beat":1}\\n'), 10);
`;

function start(): Service {
  service = createService({
    name: 'vm-1',
    command: () => [process.execPath, '-e', PROGRAM],
    env: { PATH: process.env['PATH'] },
    logFile,
  });
  return service;
}

const beats = (): number => readFileSync(logFile, 'utf8').split('beat').length - 1;
const beatsOn = async (): Promise<void> => {
  const before = beats();
  await until('it says something', () => beats() > before);
};

describe('a service', () => {
  test('when it is killed, it is started again, and the log tells one life from the next', async () => {
    const running = start();
    await beatsOn();
    running.kill();
    await until('there is a second life', () => running.lives.length === 2);
    await beatsOn();
    expect(running.lives[0]).toMatchObject({ signal: 'SIGKILL', cause: 'SIGKILL' });
    const { lives } = createVmHistoryReader('vm-1', logFile, folder).read();
    expect(lives.map(({ number }) => number)).toEqual([1, 2]);
  });

  test('when it ends by itself, nobody is named as the cause', async () => {
    const running = start();
    await beatsOn();
    process.kill(running.pid ?? 0, 'SIGTERM');
    await until('there is a second life', () => running.lives.length === 2);
    expect(running.lives[0]).toMatchObject({ code: 3, signal: null, cause: undefined });
  });

  test('when it is frozen, it does nothing until its time is over', async () => {
    const running = start();
    await beatsOn();
    running.freeze(300);
    const startedMs = performance.now();
    // What was on its way when it stopped may still come.
    await until('it is silent', async () => {
      const before = beats();
      await new Promise((resolve) => setTimeout(resolve, 60));
      return beats() === before;
    });
    await beatsOn();
    expect(performance.now() - startedMs).toBeGreaterThan(250);
    expect(running.lives).toHaveLength(1);
  });

  test('a plan is for the next life alone, and explains its end', async () => {
    const running = start();
    await beatsOn();
    running.arm({ text: 'intake.taken=kill@1', signal: 'kill', continueAfterMs: 0 });
    await until('there is a third life', () => running.lives.length === 3);
    await beatsOn();
    expect(running.lives.map(({ cause }) => cause)).toEqual(['SIGKILL', 'intake.taken=kill@1', undefined]);
    expect(running.isArmed).toBe(false);
  });

  test('one that stops itself is continued', async () => {
    const running = start();
    await beatsOn();
    running.arm({ text: 'intake.taken=stop@1', signal: 'stop', continueAfterMs: 100 });
    await until('there is a second life', () => running.lives.length === 2);
    await beatsOn();
    expect(running.lives).toHaveLength(2);
  });

  test('when it is told to end it is not started again; one that will not is killed', async () => {
    const running = start();
    await beatsOn();
    await running.end('SIGTERM', 5_000);
    expect(running.lives).toHaveLength(1);
    expect(running.lives[0]).toMatchObject({ code: 3, cause: 'SIGTERM' });
    expect(running.pid).toBeUndefined();
  });
});
