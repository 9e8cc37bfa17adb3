import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import type { MigletEvent, Registration, RunnerRequest } from '@mig/miglet/machine/types';
import { createActor, sendTo, setup, type AnyActorRef } from 'xstate';
import { createSimulatedRunner } from './simulated-runner.js';
import type { Fact } from './witness.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-simulated-runner-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const REGISTRATION: Registration = {
  commandId: 'c1',
  runnerName: 'r1',
  runnerUrl: 'http://github/acme',
  runnerGroup: '',
  labels: ['a'],
  token: 't',
  jitConfig: '',
};
const clock = createManualClock();

/** A process of a MIGlet with the runner of this folder. @param onTold what the machine does at once when it is told */
function startProcess(
  onTold: (event: MigletEvent, ask: (request: RunnerRequest) => void) => void = () => undefined,
) {
  const facts: Fact[] = [];
  const told: MigletEvent[] = [];
  const runner = createSimulatedRunner({
    clock,
    file: path.join(folder, 'runner.json'),
    witness: (fact) => facts.push(fact),
  });
  const machine = setup({
    types: { events: {} as MigletEvent | { type: 'ask'; request: RunnerRequest } },
    actors: { runner: runner.logic },
  }).createMachine({
    invoke: { src: 'runner', id: 'runner' },
    on: {
      ask: { actions: sendTo('runner', ({ event }) => event.request) },
      '*': {
        actions: ({ event, self }) => {
          if (event.type === 'ask') return;
          told.push(event);
          onTold(event, (request) => (self as AnyActorRef).send({ type: 'ask', request }));
        },
      },
    },
  });
  const actor = createActor(machine).start();
  return { runner, facts, told, ask: (request: RunnerRequest) => actor.send({ type: 'ask', request }) };
}

const types = (told: readonly MigletEvent[]): string[] => told.map((event) => event.type);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a simulated runner that is kept on disk', () => {
  it('when its MIGlet is killed with a job running, the job goes on, and the next MIGlet is told how things stand', async () => {
    const first = startProcess();
    first.ask({ type: 'start', registration: REGISTRATION });
    first.runner.startJob('build', 5_000);
    expect(types(first.told)).toEqual(['runner.started', 'runner.listening', 'job.started']);

    const second = startProcess();
    await turn();
    expect(types(second.told)).toEqual(['runner.started', 'runner.listening', 'job.started']);
    expect(second.told[2]).toMatchObject({ job: { name: 'build' }, known: true });
    clock.advance(5_000);
    expect(types(second.told)).toContain('job.finished');
    expect(second.facts).toContainEqual(expect.objectContaining({ kind: 'jobEnded', early: false }));
    expect(second.runner.jobsKilled).toBe(0);
  });

  it('a job that ended while there was no MIGlet is told to the next one', async () => {
    const first = startProcess();
    first.ask({ type: 'start', registration: REGISTRATION });
    first.runner.startJob('build', 5_000);
    clock.advance(4_000);
    const second = startProcess();
    await turn();
    clock.advance(1_000);
    expect(types(second.told).slice(2)).toEqual(['job.started', 'job.finished']);
  });

  it('a machine that stops it as soon as its job has ended has killed no job', () => {
    const miglet = startProcess((event, ask) => {
      if (event.type === 'job.finished') ask({ type: 'stop' });
    });
    miglet.ask({ type: 'start', registration: REGISTRATION });
    miglet.runner.startJob('build', 1_000);
    clock.advance(1_000);
    expect(types(miglet.told).slice(-2)).toEqual(['job.finished', 'runner.exited']);
    expect(miglet.runner.jobsKilled).toBe(0);
  });

  it('a job that is cut off by the end of its runner counts as killed', () => {
    const miglet = startProcess();
    miglet.ask({ type: 'start', registration: REGISTRATION });
    miglet.runner.startJob('build', 1_000);
    miglet.ask({ type: 'kill' });
    expect(miglet.runner.jobsKilled).toBe(1);
    expect(miglet.facts).toContainEqual(expect.objectContaining({ kind: 'jobEnded', early: true }));
  });
});
