import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isValidId } from '@mig/common/domain/ids';
import { openBootFile } from './boot-file.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'miglet-boot-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (kernelBootId = 'kernel-1') => openBootFile(path.join(folder, 'state'), kernelBootId);

describe('boot', () => {
  it('a MIGlet that starts for the first time begins a boot, with an id that may be a key', () => {
    const { boot } = open();
    expect(boot).toEqual({
      bootId: expect.any(String),
      drained: false,
      registeredAs: [],
      resumed: false,
    });
    expect(isValidId(boot.bootId)).toBe(true);
  });

  it('a MIGlet that was killed finds its boot again, also one that was drained', () => {
    const first = open();
    expect(open().boot).toEqual({ ...first.boot, resumed: true });
    first.rememberDrained(true);
    expect(open().boot).toMatchObject({ bootId: first.boot.bootId, drained: true, resumed: true });
    open().rememberDrained(false);
    expect(open().boot.drained).toBe(false);
  });

  it('the runners that GitHub may know are known to the next process, and to the next boot', () => {
    open().rememberRegistered(['vm-1-a', 'vm-1-b']);
    expect(open().boot.registeredAs).toEqual(['vm-1-a', 'vm-1-b']);
    const ended = open();
    ended.rememberEnded();
    expect(open('kernel-2').boot).toMatchObject({ resumed: false, registeredAs: ['vm-1-a', 'vm-1-b'] });
    open('kernel-2').rememberRegistered([]);
    expect(open('kernel-2').boot.registeredAs).toEqual([]);
  });

  it('a MIGlet that ended in order begins another boot, which is not drained', () => {
    const first = open();
    first.rememberDrained(true);
    first.rememberEnded();
    const second = open();
    expect(second.boot.bootId).not.toBe(first.boot.bootId);
    expect(second.boot).toMatchObject({ drained: false, resumed: false });
  });

  it('a machine that was restarted begins another boot', () => {
    const first = open('kernel-1');
    first.rememberDrained(true);
    const second = open('kernel-2');
    expect(second.boot.bootId).not.toBe(first.boot.bootId);
    expect(second.boot).toMatchObject({ drained: false, resumed: false });
  });

  it('where the kernel says nothing, a restart of the process alone is one boot', () => {
    expect(open('').boot.bootId).toBe(open('').boot.bootId);
  });

  it.each(['', '{"boot_id":"x"', '[]', '{"boot_id":7,"kernel_boot_id":"kernel-1"}', 'null'])(
    'a file that holds %j is no boot: another is begun and written',
    (content) => {
      open();
      writeFileSync(path.join(folder, 'state', 'boot.json'), content);
      const { boot } = open();
      expect(boot.resumed).toBe(false);
      expect(open().boot.bootId).toBe(boot.bootId);
    },
  );

  it('what a disk refuses is known, does not end the MIGlet, and is written when it can be', () => {
    const first = open();
    const inTheWay = path.join(folder, 'state', 'boot.json.tmp');
    mkdirSync(inTheWay);
    first.rememberDrained(true);
    expect([first.retry(), open().boot.drained]).toEqual([false, false]);
    rmdirSync(inTheWay);
    expect([first.retry(), open().boot.drained]).toEqual([true, true]);
  });

  it('a boot that goes on is not written anew: a disk that is full does not keep its MIGlet from starting', () => {
    const first = open();
    mkdirSync(path.join(folder, 'state', 'boot.json.tmp'));
    expect(open().boot.bootId).toBe(first.boot.bootId);
    expect(() => open('kernel-2')).toThrow('EISDIR');
  });

  it('is kept for this user only, and leaves no half-written file', () => {
    open().rememberDrained(true);
    const state = path.join(folder, 'state');
    expect(readdirSync(state)).toEqual(['boot.json']);
    expect(statSync(path.join(state, 'boot.json')).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(path.join(state, 'boot.json'), 'utf8'))).toMatchObject({
      drained: true,
      ended: false,
    });
  });
});
