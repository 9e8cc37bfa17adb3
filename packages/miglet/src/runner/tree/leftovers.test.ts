/** Jobs of a stand-in runner that leave daemons, and a listener that ends, crashes, hangs, or is taken over by another MIGlet. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { identify, isAlive, type ProcessIdentity } from '@mig/common/process-identity';
import { until } from '@mig/testkit/github/until';
import { createRunnerGround, type RunnerGround } from '../runner-ground.contract.js';

let ground: RunnerGround;
const seen: ProcessIdentity[] = [];

beforeEach(async () => {
  ground = await createRunnerGround();
});
afterEach(async () => {
  for (const one of seen.splice(0)) if (isAlive(one)) process.kill(one.pid, 'SIGKILL');
  await ground.close();
});

/** A daemon that the runner's own cleaning does not find (it goes by RUNNER_TRACKING_ID), and that is deaf to SIGTERM. */
const leave = (file: string): string =>
  `RUNNER_TRACKING_ID= setsid sh -c 'trap "" TERM INT HUP; echo $$ >>"${file}"; sleep 60; :' >/dev/null 2>&1 &`;

function queue(durationMs: number): () => ProcessIdentity[] {
  const file = path.join(ground.folder, 'daemons');
  ground.github.queueJob({
    name: 'leaves daemons',
    durationMs,
    labels: ['test'],
    steps: [
      {
        name: 'leave',
        run: `${leave(file)} (${leave(file)})\nuntil [ "$(wc -l <"${file}")" -ge 2 ]; do sleep 0.02; done`,
      },
    ],
  });
  return () => {
    if (!existsSync(file)) return [];
    const all = readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number).map(identify);
    seen.push(...all);
    return all.filter(isAlive);
  };
}

describe('what a job left running', () => {
  it('ends with the listener that was told to end', async () => {
    const watched = await ground.start();
    const daemons = queue(100);
    await watched.hears('job.finished');
    expect(daemons()).toHaveLength(2);
    watched.listener.interrupt();
    expect((await watched.ended()).exit).toEqual({ code: 0, signal: undefined });
    expect(daemons()).toEqual([]);
    expect(ground.processes()).toEqual([]);
  });

  it('ends with the listener that crashed', async () => {
    ground.install('crash-in-job:300');
    const watched = await ground.start();
    const daemons = queue(60_000);
    await until('they run', () => daemons().length === 2);
    expect((await watched.ended()).exit.signal).toBe('SIGKILL');
    expect(daemons()).toEqual([]);
    expect(ground.processes()).toEqual([]);
  });

  it('ends with the listener that hung and was killed', async () => {
    ground.install('hang-on-sigint');
    const watched = await ground.start();
    const daemons = queue(60_000);
    await until('they run', () => daemons().length === 2);
    watched.listener.interrupt();
    watched.listener.kill();
    await watched.ended();
    expect(daemons()).toEqual([]);
    expect(ground.processes()).toEqual([]);
  });

  it('ends when its listener ended while no MIGlet ran', async () => {
    const first = await ground.start();
    const daemons = queue(100);
    await first.hears('job.finished');
    first.listener.release();
    const [pid] = /^(\d+)/.exec(first.listener.process) ?? [];
    process.kill(Number(pid), 'SIGKILL');
    await until('the listener is gone', () => !isAlive(identify(Number(pid))));
    expect(daemons()).toHaveLength(2);
    const second = ground.adopt();
    await second?.ended();
    expect(daemons()).toEqual([]);
    expect(ground.processes()).toEqual([]);
  });
});
