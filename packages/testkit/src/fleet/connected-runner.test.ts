import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '@mig/common/clock';
import type { MigletEvent, Registration, RunnerRequest } from '@mig/miglet/machine/types';
import { createActor, sendTo, setup, toPromise } from 'xstate';
import { createStandInGitHub, type StandInGitHub } from '../github/stand-in-github.js';
import { until } from '../github/until.js';
import { createConnectedRunner } from './connected-runner.js';

let github: StandInGitHub;
beforeEach(async () => {
  github = await createStandInGitHub({ tokens: ['secret'], pollMs: 500 });
});
afterEach(() => github.close());

const REGISTRATION: Registration = {
  commandId: 'c1',
  runnerName: 'jit-1',
  runnerUrl: '',
  runnerGroup: '',
  labels: ['self-hosted'],
  token: '',
  jitConfig: '',
};

async function jit(): Promise<Registration> {
  const response = await fetch(`${github.url}/orgs/acme/actions/runners/generate-jitconfig`, {
    method: 'POST',
    headers: { authorization: 'Bearer secret' },
    body: JSON.stringify({ name: 'jit-1', runner_group_id: 1, labels: ['self-hosted'] }),
  });
  const { encoded_jit_config: jitConfig } = (await response.json()) as { encoded_jit_config: string };
  return { ...REGISTRATION, jitConfig };
}

/** @param chance below one half the MIGlet hears first that the job has ended, otherwise GitHub */
function startRunner(chance = 0) {
  const told: MigletEvent[] = [];
  const runner = createConnectedRunner({ clock: systemClock, random: () => chance, retryMs: 10 });
  const machine = setup({
    types: { events: {} as MigletEvent | { type: 'ask'; request: RunnerRequest } },
    actors: { runner: runner.logic },
  }).createMachine({
    invoke: { src: 'runner', id: 'runner' },
    on: {
      ask: { actions: sendTo('runner', ({ event }) => event.request) },
      '*': { actions: ({ event }) => void (event.type === 'ask' || told.push(event)) },
    },
  });
  const actor = createActor(machine).start();
  const types = () => told.map(({ type }) => type);
  return {
    told,
    types,
    ask: (request: RunnerRequest) => actor.send({ type: 'ask', request }),
    heard: (type: MigletEvent['type']) => until(`${type} is told`, () => types().includes(type)),
    configure: (registration: Registration) =>
      toPromise(createActor(runner.configure, { input: { registration } }).start()),
  };
}

describe('a runner that GitHub knows', () => {
  it.each([0, 0.9])(
    'with a JIT configuration it has one job, tells of it, and ends (chance %f)',
    async (chance) => {
      const runner = startRunner(chance);
      runner.ask({ type: 'start', registration: await jit() });
      await runner.heard('runner.listening');
      expect(github.runners()).toMatchObject([{ name: 'jit-1', status: 'online' }]);
      github.queueJob({ name: 'only', durationMs: 10 });
      await runner.heard('runner.exited');
      expect(runner.types()).toEqual([
        'runner.started',
        'runner.listening',
        'job.started',
        'job.finished',
        'runner.exited',
      ]);
      expect(runner.told.at(-1)).toMatchObject({ code: 0 });
      expect(github.runners()).toEqual([]);
      expect(github.jobs()).toMatchObject([{ result: 'Succeeded', ended_by: 'itself' }]);
    },
  );

  it('with a token it registers by itself, and has one job after another', async () => {
    const runner = startRunner();
    const registration = {
      ...REGISTRATION,
      runnerName: 'vm-1',
      runnerUrl: github.organizationUrl,
      token: github.issueToken('registration'),
    };
    expect(await runner.configure(registration)).toMatchObject({ kind: 'ok' });
    runner.ask({ type: 'start', registration });
    for (const name of ['first', 'second']) github.queueJob({ name, durationMs: 1 });
    await until('both have ended', () => github.jobs().every(({ result }) => result === 'Succeeded'));
    runner.ask({ type: 'stop' });
    await runner.heard('runner.exited');
    expect(github.runners()).toMatchObject([{ name: 'vm-1', status: 'offline' }]);
  });

  it('with a token that GitHub does not take it is not configured', async () => {
    const registration = { ...REGISTRATION, runnerUrl: github.organizationUrl, token: 'none' };
    expect(await startRunner().configure(registration)).toMatchObject({ kind: 'retryable' });
  });

  it('told to stop in a job it cancels that, which GitHub counts as killed', async () => {
    const runner = startRunner();
    runner.ask({ type: 'start', registration: await jit() });
    github.queueJob({ durationMs: 60_000 });
    await runner.heard('job.started');
    runner.ask({ type: 'stop' });
    await runner.heard('runner.exited');
    expect(github.jobsKilled()).toMatchObject([{ result: 'Canceled', ended_by: 'runner-shutdown' }]);
  });

  it('killed it says nothing to GitHub any more', async () => {
    const runner = startRunner();
    runner.ask({ type: 'start', registration: await jit() });
    github.queueJob({ durationMs: 60_000 });
    await runner.heard('job.started');
    runner.ask({ type: 'kill' });
    await runner.heard('runner.exited');
    expect(runner.told.at(-1)).toMatchObject({ code: undefined, signal: 'SIGKILL' });
    expect(github.jobs()).toMatchObject([{ status: 'in_progress' }]);
  });

  it('whose registration is deleted it ends', async () => {
    const runner = startRunner();
    runner.ask({ type: 'start', registration: await jit() });
    await runner.heard('runner.listening');
    const headers = { authorization: 'Bearer secret' };
    await fetch(`${github.url}/orgs/acme/actions/runners/1`, { method: 'DELETE', headers });
    await runner.heard('runner.exited');
    expect(runner.told.at(-1)).toMatchObject({ code: 0 });
  });
});
