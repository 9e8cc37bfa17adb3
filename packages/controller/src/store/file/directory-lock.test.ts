import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DataDirectoryInUseError, lockDirectory } from './directory-lock.js';

let directory: string;
let lockFile: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'mig-lock-'));
  lockFile = path.join(directory, '.controller.lock');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const holder = (fields: object) =>
  writeFileSync(
    lockFile,
    JSON.stringify({ pid: process.pid, host: os.hostname(), startedAt: '', ...fields }),
  );
/** A process that has ended, and was waited for. */
const deadPid = () => spawnSync(process.execPath, ['-e', '']).pid;

describe('the lock of a data directory', () => {
  it('refuses a second controller, and names the first and the remedy', () => {
    const release = lockDirectory(directory);
    expect(() => lockDirectory(directory)).toThrow(DataDirectoryInUseError);
    expect(() => lockDirectory(directory)).toThrow(
      `the data directory ${directory} is in use by another controller (process ${process.pid} on ${os.hostname()}); stop that one, or choose another with --data-dir`,
    );
    release();
  });

  it('is free when its holder lets go', () => {
    lockDirectory(directory)();
    expect(existsSync(lockFile)).toBe(false);
    lockDirectory(directory)();
  });

  it('of a process that is gone is taken over (kill -9)', () => {
    holder({ pid: deadPid() });
    const release = lockDirectory(directory);
    expect(JSON.parse(readFileSync(lockFile, 'utf8'))).toMatchObject({ pid: process.pid });
    release();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('of a process whose number a later one has is taken over', () => {
    holder({ startedAt: '1' });
    if (existsSync('/proc/self/stat')) lockDirectory(directory)();
  });

  it('of a controller on another host is respected: it cannot be asked', () => {
    holder({ pid: deadPid(), host: 'elsewhere' });
    expect(() => lockDirectory(directory)).toThrow(/on elsewhere\)/);
  });

  it.each(['', '{', '{"pid": "7"}', 'null'])('that says nothing (%j) is taken over', (text) => {
    writeFileSync(lockFile, text);
    lockDirectory(directory)();
    expect(existsSync(lockFile)).toBe(false);
  });

  it('in a folder that is none is the error of the system', () => {
    expect(() => lockDirectory(path.join(directory, 'nowhere'))).toThrow(/ENOENT/);
  });
});
