import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createTestLog } from './test-log.contract.js';
import { ControllerIdUnreadableError, loadControllerId } from './controller-id.js';

let directory: string;
let log = createTestLog();
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'mig-controller-id-'));
  log = createTestLog();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const load = (configured = '') => loadControllerId({ configured, directory }, log.logger);
const file = () => path.join(directory, '.controller-id');

describe("the controller's id", () => {
  it('is made at the first start, and is the same at every later one', async () => {
    const made = await load();
    expect(made).toMatch(/^[a-z0-9]{6}$/);
    expect(await readFile(file(), 'utf8')).toBe(`${made}\n`);
    expect([await load(), await load()]).toEqual([made, made]);
    expect(await readdir(directory)).toEqual(['.controller-id']);
  });

  it('is made again though a start was killed while it wrote the first', async () => {
    await writeFile(`${file()}.tmp`, 'ab');
    const made = await load();
    expect(await load()).toBe(made);
  });

  it('is that of the configuration, which is not written; one that was used before is told of', async () => {
    expect(await load('abcd')).toBe('abcd');
    expect(await readdir(directory)).toEqual([]);
    const kept = await load();
    log = createTestLog();
    expect(await load('abcd')).toBe('abcd');
    expect(log.lines()).toMatchObject([{ configured: 'abcd', kept }]);
    expect(await load()).toBe(kept);
  });

  it.each([
    ['', 'it is empty'],
    ['k3', 'it says "k3"'],
    ['../../x', 'it says "../../x"'],
    ['K3X9F2', 'it says "K3X9F2"'],
  ])('that is torn or foreign (%j) is not made anew: runners would be nobody’s', async (content, problem) => {
    await writeFile(file(), content);
    await expect(load()).rejects.toThrow(ControllerIdUnreadableError);
    await expect(load()).rejects.toThrow(problem);
    await expect(load()).rejects.toThrow(
      /set controller_id to the part of its runners' names .* or remove the file/,
    );
    expect(await readFile(file(), 'utf8')).toBe(content);
    expect(await load('abcd')).toBe('abcd');
  });

  it('that cannot be read at all is neither', async () => {
    await mkdir(file());
    await expect(load()).rejects.toThrow(/EISDIR/);
  });
});
