/** The same for the checks of what stands and what is left: each fails when what it watches over is broken, and only then. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import type { Violation } from '../evidence.js';
import { checkFleet } from './fleet.js';
import { checkGrowth, type Resting } from './growth.js';
import { checkProcesses } from './processes.js';
import {
  RUNNER,
  VM,
  at,
  command,
  event,
  evidence,
  history,
  life,
  runner,
  vm,
  vmLife,
} from './samples.contract.js';
import { checkSecrets } from './secrets.js';
import { checkStore } from './store.js';

const names = (found: readonly Violation[]): string[] => found.map(({ invariant }) => invariant);
const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-checks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the fleet', () => {
  const good = { vms: [vm(VM)], runners: [runner(RUNNER)] };
  const standing = { streams: new Map([[VM, 1]]), listeners: new Map([[VM, 1]]) };

  test('all is well', () => {
    expect(checkFleet(evidence(good), standing)).toEqual([]);
  });

  test('two streams, no runner process, a ghost, a VM without a registration', () => {
    const two = { ...standing, streams: new Map([[VM, 2]]) };
    expect(names(checkFleet(evidence(good), two))).toEqual(['a VM has one stream']);
    const none = { ...standing, listeners: new Map([[VM, 0]]) };
    expect(names(checkFleet(evidence(good), none))).toEqual(['a VM has one runner process']);
    const ghost = {
      ...good,
      runners: [runner(RUNNER), runner('mig-c4fe-vm-1-22222222', { status: 'offline' })],
    };
    expect(names(checkFleet(evidence(ghost), standing))).toEqual([
      'no registration is left of a VM that has ended',
    ]);
    expect(names(checkFleet(evidence({ ...good, runners: [] }), standing))).toEqual([
      'a VM that is ready has a runner at GitHub',
    ]);
  });

  test('a registration is left behind by a boot that asked in vain or died while it registered, and by no other', () => {
    const before = { bootId: '22222222-aaaa' };
    const ghost = {
      ...good,
      runners: [runner(RUNNER), runner('mig-c4fe-vm-1-22222222', { status: 'offline' })],
    };
    const left = (fields: object): Violation[] => {
      const histories = [history({ lives: [vmLife({ ...before, ...fields }), vmLife()] })];
      return checkFleet(evidence({ ...ghost, histories }), standing);
    };
    expect(left({ askedInVain: true })).toEqual([]);
    expect(left({ registers: true })).toEqual([]);
    expect(left({})).toHaveLength(1);
  });
});

describe('processes', () => {
  const trouble = { at: at(5), text: 'ENOSPC: no space left on device' };
  const disk = { what: 'disk' as const, from: at(4), until: at(6) };

  test('an error is explained by the fault that was injected then, and by no other', () => {
    const invariant = 'the controller logs no error that nothing explains';
    expect(checkProcesses(evidence({ controllerTroubles: [trouble], injected: [disk] }))).toEqual([]);
    expect(names(checkProcesses(evidence({ controllerTroubles: [trouble] })))).toEqual([invariant]);
    const late = { ...trouble, at: at(30) };
    expect(names(checkProcesses(evidence({ controllerTroubles: [late], injected: [disk] })))).toEqual([
      invariant,
    ]);
    const other = { ...trouble, text: 'TypeError' };
    expect(names(checkProcesses(evidence({ controllerTroubles: [other], injected: [disk] })))).toEqual([
      invariant,
    ]);
  });

  test('an error of a MIGlet, an answer that nobody understands', () => {
    expect(names(checkProcesses(evidence({ histories: [history({ troubles: [trouble] })] })))).toEqual([
      'a MIGlet logs no error',
    ]);
    expect(names(checkProcesses(evidence({ complaints: ['POST was answered 500'] })))).toEqual([
      'a caller gets no answer that nothing explains',
    ]);
  });

  test('an end that nobody caused', () => {
    const ended = (name: string, fields: object) =>
      names(checkProcesses(evidence({ lives: new Map([[name, [life({ endedAt: at(5), ...fields })]]]) })));
    const invariant = ['no process ends by itself'];
    expect(ended(VM, { signal: 'SIGKILL', cause: 'SIGKILL' })).toEqual([]);
    expect(ended(VM, { code: 0 })).toEqual([]);
    expect(ended(VM, { code: 1 })).toEqual(invariant);
    expect(ended(VM, { signal: 'SIGSEGV' })).toEqual(invariant);
    expect(ended('controller', { code: 0 })).toEqual(invariant);
  });
});

describe('growth', () => {
  const small: Resting = {
    residentBytes: 100 * 2 ** 20,
    openFiles: 30,
    commandCount: 100,
    otherFiles: 5,
    migletFiles: 6,
  };

  test('it breathes, and takes what the commands that it keeps need', () => {
    const later = { ...small, residentBytes: 180 * 2 ** 20, commandCount: 10_100, openFiles: 35 };
    expect(checkGrowth([small, later])).toEqual([]);
  });

  test.each([{ residentBytes: 200 * 2 ** 20 }, { openFiles: 60 }, { otherFiles: 100 }, { migletFiles: 100 }])(
    '%j is too much',
    (grown) => {
      expect(checkGrowth([small, { ...small, ...grown }])).toHaveLength(1);
    },
  );
});

describe('files', () => {
  const directory = path.join(folder, 'data');
  const commandFile = path.join(directory, VM, 'commands', 'a.json');
  const stamp = '20261121T120000.000001Z';
  const write = (content: object): void => {
    mkdirSync(path.dirname(commandFile), { recursive: true });
    writeFileSync(commandFile, JSON.stringify(content));
    writeFileSync(path.join(directory, VM, `grpc-event-vm_started-${stamp}.json`), '{}');
  };
  const shown = {
    directory,
    commands: [command('a')],
    events: new Map([[VM, [event(1, 'vm_started', { id: stamp })]]]),
  };

  test('what was told is there, or is missed', () => {
    write({ state: 'completed' });
    expect(checkStore(shown)).toEqual([]);
    const other = new Map([[VM, [event(1, 'vm_started', { id: '20261121T120000.000002Z' })]]]);
    expect(names(checkStore({ ...shown, events: other }))).toEqual(['an event that was shown has a file']);
    write({ state: 'queued' });
    expect(names(checkStore(shown))).toEqual(['a command is in its file as it was told']);
  });

  test('a secret is found wherever it does not belong', () => {
    const [log, home] = [path.join(folder, 'a.log'), path.join(folder, 'token')];
    writeFileSync(log, 'token AB12 was used');
    writeFileSync(home, 'AB12');
    const search = { folders: [folder], except: [home], secrets: new Map([['AB12', 'registration token']]) };
    expect(checkSecrets(search)).toMatchObject([{ evidence: [`${log} holds a registration token`] }]);
    expect(checkSecrets({ ...search, except: [home, log] })).toEqual([]);
  });
});
