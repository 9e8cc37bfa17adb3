import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DirectoryInUseError, lockDirectory as lock } from './directory-lock.js';
import { identify } from './process-identity.js';

const OPTIONS = {
  file: '.controller.lock',
  what: 'data directory',
  program: 'controller',
  remedy: 'stop that one, or choose another with --data-dir',
};
const lockDirectory = (directory: string) => lock(directory, OPTIONS);

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

describe('the lock of a directory', () => {
  it('refuses a second program, and names the first and the remedy', () => {
    const release = lockDirectory(directory);
    expect(() => lockDirectory(directory)).toThrow(DirectoryInUseError);
    expect(() => lockDirectory(directory)).toThrow(
      `the data directory ${directory} is in use by another controller (process ${process.pid} on ${os.hostname()}); stop that one, or choose another with --data-dir`,
    );
    release();
  });

  it('has an error of the caller: what the directory is, who has it, what to do', () => {
    const options = {
      file: '.miglet.lock',
      what: 'state folder',
      program: 'MIGlet',
      remedy: 'set state_dir',
    };
    const release = lock(directory, options);
    expect(() => lock(directory, options)).toThrow(
      expect.objectContaining({
        code: 'state-folder-in-use',
        message: `the state folder ${directory} is in use by another MIGlet (process ${process.pid} on ${os.hostname()}); set state_dir`,
      }),
    );
    // Two locks of one directory have nothing to do with each other.
    lockDirectory(directory)();
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

  describe('that several take over at once', () => {
    const claim = (pid: number) => {
      const hash = createHash('sha256').update(readFileSync(lockFile)).digest('hex').slice(0, 16);
      writeFileSync(`${lockFile}.${hash}`, JSON.stringify({ ...identify(pid), host: os.hostname() }));
    };

    it('is left to the one that claimed it first', () => {
      holder({ pid: deadPid() });
      claim(process.ppid);
      expect(() => lockDirectory(directory)).toThrow(new RegExp(`process ${process.ppid} `));
    });

    it('is taken from a claimant that died as well, and nothing is left of the claims', () => {
      holder({ pid: deadPid() });
      claim(deadPid());
      const release = lockDirectory(directory);
      expect(JSON.parse(readFileSync(lockFile, 'utf8'))).toMatchObject({ pid: process.pid });
      release();
      expect(readdirSync(directory)).toEqual([]);
    });
  });

  it('that was removed, and taken by another, is not released by the first', () => {
    const release = lockDirectory(directory);
    rmSync(lockFile);
    const other = lockDirectory(directory);
    release();
    expect(existsSync(lockFile)).toBe(true);
    other();
    expect(existsSync(lockFile)).toBe(false);
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
