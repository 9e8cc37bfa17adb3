import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readSwitches } from './switches.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'stand-in-runner-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const read = (fault: string) => readSwitches({ STAND_IN_RUNNER_FAULT: fault }, folder);

describe('switches', () => {
  it('takes several faults with their numbers', () => {
    const switches = read('exit:7,crash-after-listening:200');
    expect(switches.takeFault('exit')).toBe(7);
    expect(switches.takeFault('crash-after-listening')).toBe(200);
    expect(switches.takeFault('crash-on-start')).toBeUndefined();
  });

  it('uses up a fault that happens once, for all processes of the folder', () => {
    expect(read('once:crash-on-start').takeFault('crash-on-start')).toBe(0);
    expect(read('once:crash-on-start').takeFault('crash-on-start')).toBeUndefined();
  });

  it('fails as many configurations as it is told', () => {
    expect([1, 2, 3].map(() => read('config-fails:2').takeConfigFailure())).toEqual([true, true, false]);
  });

  it('refuses what it does not know', () => {
    expect(() => read('crash')).toThrow(
      'STAND_IN_RUNNER_FAULT=crash is not known: use one of crash-on-start',
    );
    expect(() => readSwitches({ STAND_IN_RUNNER_RETRY_MS: 'x' }, folder)).toThrow(
      'STAND_IN_RUNNER_RETRY_MS=x',
    );
    expect(() => readSwitches({ STAND_IN_RUNNER_SESSION_CONFLICT: '5' }, folder)).toThrow(
      'INTERVAL_MS:RETRIES',
    );
  });
});
