/** Every check fails when what it watches over is broken, and only then: each on evidence that was doctored in one place. */
import { describe, expect, test } from '@jest/globals';
import type { Violation } from '../evidence.js';
import { checkCommands } from './commands.js';
import { checkDrains } from './drains.js';
import { checkEvents } from './events.js';
import { checkJobs } from './jobs.js';
import {
  BOOT,
  VM,
  at,
  command,
  drain,
  event,
  evidence,
  history,
  job,
  life,
  told,
  vmLife,
} from './samples.contract.js';

const names = (found: readonly Violation[]): string[] => found.map(({ invariant }) => invariant);

describe('commands', () => {
  const good = {
    toldCommands: [told('a'), told('b')],
    commands: [command('a'), command('b')],
    histories: [history({ taken: ['a', 'b'] })],
  };

  test('all is well', () => {
    expect(checkCommands(evidence(good))).toEqual([]);
  });

  test.each([
    [
      'one that was accepted is gone',
      { commands: [command('b')], histories: [history({ taken: ['b'] })] },
      'an accepted command is never lost',
    ],
    [
      'one has no end',
      { commands: [command('a'), command('b', { state: 'received' })] },
      'an accepted command comes to an end',
    ],
    [
      'one key is two commands',
      { toldCommands: [told('a', { accepted: [command('a'), command('b')] })] },
      'one Idempotency-Key is one command',
    ],
    [
      'one was taken twice',
      { histories: [history({ taken: ['a', 'b', 'a'] })] },
      'a command takes effect at most once',
    ],
    [
      'one is completed and was never taken',
      { histories: [history({ taken: ['a'] })] },
      'a completed command took effect',
    ],
    [
      'one expired and was taken',
      { commands: [command('a'), command('b', { state: 'expired', message: 'too late' })] },
      'a command that expired, was cancelled or superseded takes no effect',
    ],
    [
      'one was cancelled and is not',
      { toldCommands: [told('a', { cancelled: true })] },
      'what was cancelled stays cancelled',
    ],
    [
      'the later one was taken first',
      { histories: [history({ taken: ['b', 'a'] })] },
      'commands of a VM take effect in the order of their submission',
    ],
    [
      'the VM took one that nobody stored',
      { histories: [history({ taken: ['a', 'b', 'c'] })] },
      'a VM takes only what the controller stored',
    ],
    [
      'a simulated VM took one twice',
      { simulatedTaken: new Map([[VM, ['a', 'b', 'b']]]), histories: [] },
      'a command takes effect at most once',
    ],
    [
      'one went back from its end',
      { sightings: { ...evidence().sightings, illegalCommands: ['a was queued after completed'] } },
      'a command moves along its table',
    ],
  ] as const)('%s', (_, doctored, invariant) => {
    expect(names(checkCommands(evidence({ ...good, ...doctored })))).toEqual([invariant]);
  });

  test('one that expired may have been taken if its record says so; a registration goes before all others', () => {
    const late = command('b', { state: 'expired', message: 'it is late; the VM had already taken it: done' });
    const first = command('c', { type: 'register_runner' });
    const histories = [history({ taken: ['c', 'a', 'b'] })];
    expect(checkCommands(evidence({ ...good, commands: [command('a'), late, first], histories }))).toEqual(
      [],
    );
  });
});

describe('events', () => {
  const logged = [
    { type: 'vm_started', job: '', at: at(1) },
    { type: 'job_started', job: 'build', at: at(2) },
  ];
  const stored = [event(1, 'vm_started'), event(2, 'job_started', { data: { name: 'build' } })];
  const good = {
    histories: [history({ lives: [vmLife({ events: logged })] })],
    events: new Map([[VM, stored]]),
  };
  const now = at(60);

  test('all is well, also with what the controller itself found out', () => {
    const own = event(0, 'vm_lost', { via: 'controller' });
    const events = new Map([[VM, [stored[0] ?? own, own, stored[1] ?? own]]]);
    expect(checkEvents(evidence({ ...good, events }), now)).toEqual([]);
  });

  const INVARIANTS = {
    gap: 'the events of a boot are stored once each, in order, without a gap',
    lost: 'every event of a VM is stored, and none that it did not tell',
  };
  test.each([
    ['one is stored twice', [stored[0], stored[0], stored[1]], [INVARIANTS.gap, INVARIANTS.lost]],
    ['the order is another', [stored[1], stored[0]], [INVARIANTS.gap, INVARIANTS.lost]],
    ['the first is missing', [stored[1]], [INVARIANTS.gap, INVARIANTS.lost]],
    ['the last is missing', [stored[0]], [INVARIANTS.lost]],
    [
      'one is about another job',
      [stored[0], event(2, 'job_started', { data: { name: 'test' } })],
      [INVARIANTS.lost],
    ],
  ])('%s', (_, events, invariants) => {
    const doctored = new Map([[VM, events.filter((each) => each !== undefined)]]);
    expect(names(checkEvents(evidence({ ...good, events: doctored }), now))).toEqual(invariants);
  });

  test('the last of a life that was killed may be missing, and so may one that was told just now', () => {
    const lives = new Map([[VM, [life({ signal: 'SIGKILL', endedAt: at(2), cause: 'SIGKILL' })]]]);
    const events = new Map([[VM, stored.slice(0, 1)]]);
    expect(checkEvents(evidence({ ...good, events, lives }), now)).toEqual([]);
    expect(checkEvents(evidence({ ...good, events }), at(3))).toEqual([]);
  });
});

describe('jobs', () => {
  const killed = job('build', { ended_by: 'runner-shutdown', result: 'Canceled' });
  const both = [
    event(1, 'job_started', { data: { name: 'build' } }),
    event(2, 'job_completed', { data: { name: 'build' } }),
  ];
  const good = {
    jobs: [job('build')],
    queuedJobs: [{ name: 'build', result: 'Succeeded' as const }],
    events: new Map([[VM, both]]),
  };
  const KILLED = 'a running job is ended by nothing but force or a deadline';
  const forced = (fields: object): object => ({
    ...good,
    jobs: [killed],
    commands: [command('a', { type: 'drain', parameters: { force: true }, ...fields })],
    histories: [
      history({ taken: ['a'], takenAt: new Map([['a', [at(2)]]]), endedAt: new Map([['a', at(4)]]) }),
    ],
  });

  test('all is well', () => {
    expect(checkJobs(evidence(good))).toEqual([]);
  });

  test('one was killed', () => {
    expect(names(checkJobs(evidence({ ...good, jobs: [killed] })))).toEqual([KILLED]);
  });

  test('one was ended by force: that is as it was ordered', () => {
    expect(checkJobs(evidence(forced({})))).toEqual([]);
  });

  test.each([
    ['a drain without force', { parameters: { force: false } }],
    ['a deadline that had not passed', { parameters: { deadline_ms: 5_000 } }],
    ['an order for another VM', { vm_id: 'vm-2' }],
    ['an order that is no drain', { type: 'undrain' }],
  ])('one was killed, and all there is is %s', (_, fields) => {
    expect(names(checkJobs(evidence(forced(fields))))).toEqual([KILLED]);
  });

  test('one was killed before the order, or long after it had ended', () => {
    for (const completed of [at(0), at(30)]) {
      const late = { ...killed, completed_at: new Date(completed).toISOString() };
      expect(names(checkJobs(evidence({ ...forced({}), jobs: [late] })))).toEqual([KILLED]);
    }
  });

  test('one has another result than its own', () => {
    const doctored = { ...good, jobs: [job('build', { result: 'Failed' })] };
    expect(names(checkJobs(evidence(doctored)))).toEqual(['a job has its own result']);
  });

  test('its end is told twice, or its beginning never', () => {
    const invariant = 'the beginning and the end of a job are told once';
    for (const events of [[...both, event(3, 'job_completed', { data: { name: 'build' } })], both.slice(1)])
      expect(names(checkJobs(evidence({ ...good, events: new Map([[VM, events]]) })))).toEqual([invariant]);
  });
});

describe('drains', () => {
  const member = (vmId: string, commandId: string) => ({
    vm_id: vmId,
    boot_id: BOOT,
    state: 'done' as const,
    command_id: commandId,
    finished_at: new Date(at(9)).toISOString(),
  });
  const drains = [drain('d', { max_unavailable: 1, vms: [member('vm-1', 'a'), member('vm-2', 'b')] })];
  const between = (vmId: string, id: string, from: number, to: number) =>
    history({ vmId, taken: [id], takenAt: new Map([[id, [at(from)]]]), endedAt: new Map([[id, at(to)]]) });
  const body = {
    selector: { pool_id: 'chaos' },
    reason: '',
    deadline_ms: 0,
    force: false,
    max_unavailable: 1,
    then: 'keep' as const,
  };
  const toldDrains = [
    { n: 1, key: 'k', body, accepted: [drain('d', { state: 'active' })], refusal: undefined },
  ];
  const good = { drains, toldDrains, histories: [between('vm-1', 'a', 1, 2), between('vm-2', 'b', 2, 3)] };

  test('all is well', () => {
    expect(checkDrains(evidence(good))).toEqual([]);
  });

  test('two VMs drained at a time', () => {
    const histories = [between('vm-1', 'a', 1, 3), between('vm-2', 'b', 2, 4)];
    expect(names(checkDrains(evidence({ ...good, histories })))).toEqual([
      'never more VMs drain at a time than a drain allows (as the VMs say)',
    ]);
  });

  test('one VM had ended before the other began, though its command ended later', () => {
    const gone = vmLife({ events: [{ type: 'vm_shutting_down', job: '', at: at(2) }] });
    const histories = [{ ...between('vm-1', 'a', 1, 3), lives: [gone] }, between('vm-2', 'b', 2, 4)];
    expect(checkDrains(evidence({ ...good, histories }))).toEqual([]);
  });

  test('one was drained in no time, and the other began in the same moment', () => {
    const histories = [between('vm-1', 'a', 2, 2), between('vm-2', 'b', 2, 4)];
    expect(checkDrains(evidence({ ...good, histories }))).toEqual([]);
  });

  test('one is gone, one has no end, one was seen with too many', () => {
    expect(names(checkDrains(evidence({ ...good, drains: [] })))).toEqual([
      'an accepted drain is never lost',
    ]);
    const open = drain('d', { state: 'active' });
    delete open.finished_at;
    expect(names(checkDrains(evidence({ ...good, drains: [open] })))).toEqual(['a drain comes to an end']);
    const sightings = { ...evidence().sightings, overDrained: ['d allows 1'] };
    expect(names(checkDrains(evidence({ ...good, sightings })))).toEqual([
      'never more VMs drain at a time than a drain allows (as the API says)',
    ]);
  });
});
