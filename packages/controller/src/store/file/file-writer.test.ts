import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createFileWriter, type FileWriter } from './file-writer.js';

let directory: string;
let writer: FileWriter;
const at = (name: string) => path.join(directory, name);

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'mig-writer-'));
  writer = createFileWriter();
});
afterEach(async () => {
  await writer.idle();
  await rm(directory, { recursive: true, force: true });
});

describe('writing whole files', () => {
  it('a reader sees the old content or the new, never a part, while it is written again and again', async () => {
    const contents = Array.from({ length: 30 }, (_, n) => String(n % 10).repeat(100_000 + n));
    await writer.write(at('a'), contents[0] ?? '', false);
    let writing = true;
    const writes = (async () => {
      for (const content of contents) await writer.write(at('a'), content, false);
      writing = false;
    })();
    while (writing) expect(contents).toContain(await readFile(at('a'), 'utf8'));
    await writes;
    expect(await readFile(at('a'), 'utf8')).toBe(contents.at(-1));
  });

  it('writes to one file that wait become one: the newest wins, and each caller hears when it is there', async () => {
    const writes = Array.from({ length: 100 }, (_, n) => writer.write(at('a'), `${n}`, n % 2 === 0));
    await Promise.all(writes);
    expect(await readFile(at('a'), 'utf8')).toBe('99');
    expect(new Set(writes).size).toBeLessThan(4);
  });

  it('writes to many files go side by side, more than are opened at a time', async () => {
    await Promise.all(Array.from({ length: 200 }, (_, n) => writer.write(at(`f${n}`), `${n}`, true)));
    const names = await readdir(directory);
    expect(names).toHaveLength(200);
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('a removal comes after the write that was asked for before it, and before the one after it', async () => {
    const first = writer.write(at('a'), '1', false);
    const removed = writer.remove(at('a'));
    await Promise.all([first, removed]);
    expect(await readdir(directory)).toEqual([]);
    await writer.remove(at('never'));
    await Promise.all([writer.write(at('b'), '1', false), writer.remove(at('b'))]);
    await writer.write(at('b'), '2', false);
    expect(await readFile(at('b'), 'utf8')).toBe('2');
  });

  it('a write that fails is told to its caller, leaves nothing behind, and does not stop the next', async () => {
    await mkdir(at('folder'));
    await expect(writer.write(at('folder'), 'x', true)).rejects.toThrow(/EISDIR|EEXIST|ENOTEMPTY/);
    await expect(writer.write(at('missing/a'), 'x', true)).rejects.toThrow(/ENOENT/);
    expect(await readdir(directory)).toEqual(['folder']);
    await rm(at('folder'), { recursive: true });
    await writer.write(at('folder'), 'x', true);
    expect(await readFile(at('folder'), 'utf8')).toBe('x');
  });

  it('is idle when all that was asked for is on disk', async () => {
    void writer.write(at('a'), '1', true);
    void writer.write(at('b'), '2', true);
    await writer.idle();
    expect((await readdir(directory)).sort()).toEqual(['a', 'b']);
  });
});
