/** What the file store relies on, of a real file system and of the one that its tests use. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import path from 'node:path';
import type { FileOperations } from './file-operations.js';

export interface FilesFixture {
  readonly files: FileOperations;
  /** An empty directory. */
  readonly directory: string;
  remove(): Promise<void>;
}

export function fileOperationsContract(name: string, createFixture: () => Promise<FilesFixture>): void {
  describe(`the contract of file operations: ${name}`, () => {
    let fixture: FilesFixture;
    let files: FileOperations;
    const at = (...names: string[]) => path.join(fixture.directory, ...names);
    const names = async (...below: string[]) =>
      (await files.list(at(...below))).map((entry) => entry.name).sort();
    const code = (expected: string | RegExp) => ({
      code: expect.stringMatching(expected) as unknown,
    });

    beforeEach(async () => {
      fixture = await createFixture();
      ({ files } = fixture);
    });
    afterEach(() => fixture.remove());

    it('a file has what was written last, synced or not', async () => {
      await files.writeText(at('a'), 'first, longer', false);
      await files.writeText(at('a'), 'grün', true);
      await files.syncFile(at('a'));
      await files.syncDirectory(fixture.directory);
      expect(await files.readText(at('a'))).toBe('grün');
      expect(await files.list(fixture.directory)).toEqual([{ name: 'a', kind: 'file' }]);
    });

    it('a file that is renamed replaces the one that is there; a directory is never replaced by a file', async () => {
      await files.writeText(at('a'), 'a', false);
      await files.writeText(at('b'), 'b', false);
      await files.rename(at('a'), at('b'));
      expect(await names()).toEqual(['b']);
      expect(await files.readText(at('b'))).toBe('a');
      await files.makeDirectory(at('c'));
      await expect(files.rename(at('b'), at('c'))).rejects.toMatchObject(code(/EISDIR|EEXIST|ENOTEMPTY/));
      await expect(files.rename(at('x'), at('y'))).rejects.toMatchObject(code('ENOENT'));
    });

    it('directories are made with those above them, and moved and removed with what is in them', async () => {
      await files.makeDirectory(at('a', 'b'));
      await files.makeDirectory(at('a', 'b'));
      await files.writeText(at('a', 'b', 'c'), 'x', false);
      await files.rename(at('a'), at('d'));
      expect(await names('d', 'b')).toEqual(['c']);
      await files.removeTree(at('d'));
      await files.removeTree(at('d'));
      expect(await names()).toEqual([]);
    });

    it('what is not there is ENOENT, but to remove it is no error', async () => {
      await expect(files.readText(at('x'))).rejects.toMatchObject(code('ENOENT'));
      await expect(files.list(at('x'))).rejects.toMatchObject(code('ENOENT'));
      await expect(files.syncFile(at('x'))).rejects.toMatchObject(code('ENOENT'));
      await expect(files.syncDirectory(at('x'))).rejects.toMatchObject(code('ENOENT'));
      await expect(files.writeText(at('x', 'y'), '', false)).rejects.toMatchObject(code('ENOENT'));
      await files.remove(at('x'));
      expect(await files.kindOf(at('x'))).toBeUndefined();
    });

    it('a file where a directory should be is told, and so is a directory where a file should be', async () => {
      await files.writeText(at('a'), '', false);
      await expect(files.writeText(at('a', 'b'), '', false)).rejects.toMatchObject(code('ENOTDIR'));
      await expect(files.makeDirectory(at('a', 'b'))).rejects.toMatchObject(code(/ENOTDIR|EEXIST/));
      expect(await files.kindOf(at('a', 'b'))).toBeUndefined();
      await files.makeDirectory(at('d'));
      await expect(files.readText(at('d'))).rejects.toMatchObject(code('EISDIR'));
      await expect(files.writeText(at('d'), '', false)).rejects.toMatchObject(code('EISDIR'));
      expect([await files.kindOf(at('a')), await files.kindOf(at('d'))]).toEqual(['file', 'directory']);
    });

    it('a log file is new, is written at a position and cut, and knows when it was removed', async () => {
      const log = await files.createLogFile(at('log'));
      await expect(files.createLogFile(at('log'))).rejects.toMatchObject(code('EEXIST'));
      await log.write(Buffer.from('one two'), 0);
      await log.truncate(4);
      await log.write(Buffer.from('three'), 4);
      await log.sync();
      expect(await files.readText(at('log'))).toBe('one three');
      expect(await log.isLinked()).toBe(true);
      await files.remove(at('log'));
      expect(await log.isLinked()).toBe(false);
      await log.close();
    });
  });
}
