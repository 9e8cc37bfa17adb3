import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileOperationsContract } from './file-operations.contract.js';
import { createMemoryDisk } from './memory-disk.contract.js';
import { nodeFiles } from './node-files.js';

const makeDirectory = () => mkdtemp(path.join(os.tmpdir(), 'mig-files-'));

fileOperationsContract('of the machine', async () => {
  const directory = await makeDirectory();
  return { files: nodeFiles, directory, remove: () => rm(directory, { recursive: true, force: true }) };
});

fileOperationsContract('in memory', async () => {
  const { files } = createMemoryDisk(() => 0);
  await files.makeDirectory('/data');
  return { files, directory: '/data', remove: async () => undefined };
});

describe('the file operations of the machine', () => {
  it('tell links and pipes from files, and neither follow nor wait for them', async () => {
    const directory = await makeDirectory();
    const at = (name: string) => path.join(directory, name);
    await writeFile(at('target'), 'mine');
    await symlink(at('target'), at('link'));
    spawnSync('mkfifo', [at('pipe')]);
    const kinds = new Map((await nodeFiles.list(directory)).map(({ name, kind }) => [name, kind]));
    expect(kinds).toEqual(
      new Map([
        ['link', 'other'],
        ['pipe', 'other'],
        ['target', 'file'],
      ]),
    );
    expect(await nodeFiles.kindOf(at('link'))).toBe('other');
    await expect(nodeFiles.writeText(at('link'), 'x', false)).rejects.toMatchObject({ code: 'ELOOP' });
    await expect(nodeFiles.syncFile(at('link'))).rejects.toMatchObject({ code: 'ELOOP' });
    await expect(nodeFiles.syncFile(at('pipe'))).rejects.toMatchObject({ code: 'EINVAL' });
    expect(await readFile(at('target'), 'utf8')).toBe('mine');
    await rm(directory, { recursive: true });
  });
});

describe('the disk in memory, after a power cut', () => {
  const random = () => 0; // the oldest of what is possible
  it('has lost what was not synced: the content of a file, and the names in a directory', async () => {
    const disk = createMemoryDisk(random);
    const { files } = disk;
    await files.writeText('/synced', 'x', true);
    await files.writeText('/empty', 'x', false);
    await files.syncDirectory('/');
    await files.writeText('/synced', 'newer', false);
    await files.writeText('/unnamed', 'x', true);
    expect(disk.contents()).toEqual({ '/synced': 'newer', '/empty': 'x', '/unnamed': 'x' });
    expect(disk.afterKill().contents()).toEqual(disk.contents());
    expect(disk.afterPowerCut().contents()).toEqual({ '/synced': 'x', '/empty': '' });
  });

  it('has not synced by a second sync what the first failed to', async () => {
    const disk = createMemoryDisk(random);
    await disk.files.writeText('/a', 'x', false);
    await disk.files.syncDirectory('/');
    disk.setFaults((operation) => (operation === 'sync' ? 'EIO' : undefined));
    await expect(disk.files.syncFile('/a')).rejects.toMatchObject({ code: 'EIO' });
    disk.setFaults(undefined);
    await disk.files.syncFile('/a');
    expect(disk.afterPowerCut().contents()).toEqual({ '/a': '' });
  });

  it('does nothing more for a process that was killed', async () => {
    const disk = createMemoryDisk(random);
    disk.killAfter(1);
    await disk.files.makeDirectory('/a');
    void disk.files.makeDirectory('/b');
    await disk.killed;
    void disk.files.makeDirectory('/c');
    expect(disk.isKilled).toBe(true);
    expect(await disk.afterKill().files.list('/')).toEqual([{ name: 'a', kind: 'directory' }]);
  });
});
