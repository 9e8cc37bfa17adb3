import { beforeEach, describe, expect, it } from '@jest/globals';
import { createTestLog, type TestLog } from '../../test-log.contract.js';
import { toLine, type LogEntry } from './log-entry.js';
import { createMemoryDisk, type MemoryDisk } from './memory-disk.contract.js';
import { replayLog } from './replay.js';
import { createSetAside, type SetAside } from './set-aside.js';

let disk: MemoryDisk;
let log: TestLog;
let setAside: SetAside;

beforeEach(async () => {
  disk = createMemoryDisk(() => 0);
  log = createTestLog();
  setAside = createSetAside(disk.files, log.logger);
  await disk.files.makeDirectory('/data/.wal');
});

const write = (path: string, content: string): LogEntry => ({ path, content });
const segment = (number: number, text: string) =>
  disk.files.writeText(`/data/.wal/000000000${number}.log`, text, true);
const lines = (...entries: LogEntry[]) => entries.map(toLine).join('');
const replay = () => replayLog({ files: disk.files, setAside, logger: log.logger }, '/data');
/** What is there beside the log. */
const files = () =>
  Object.fromEntries(
    Object.entries(disk.contents())
      .filter(([file]) => !file.startsWith('/data/.wal/'))
      .map(([file, content]) => [file.replace('/data/', ''), content]),
  );

describe('replaying the log', () => {
  it('makes good what a crash left undone and what a power cut emptied, and leaves what is right', async () => {
    await disk.files.makeDirectory('/data/vm-1');
    await disk.files.writeText('/data/vm-1/vm.json', '', false);
    await disk.files.writeText('/data/vm-1/other.json', 'same', false);
    await disk.files.writeText('/data/vm-1/old.json', 'x', false);
    await segment(
      1,
      lines(
        write('vm-1/vm.json', 'record'),
        write('vm-1/other.json', 'same'),
        write('vm-1/commands/a.json', 'command'),
        { path: 'vm-1/old.json', removed: 'file' },
      ),
    );
    let changes = 0;
    disk.setFaults((operation) => void (operation === 'rename' && (changes += 1)));
    const { segments, nextNumber } = await replay();
    expect(files()).toEqual({
      'vm-1/vm.json': 'record',
      'vm-1/other.json': 'same',
      'vm-1/commands/a.json': 'command',
    });
    expect(changes).toBe(2);
    expect(nextNumber).toBe(2);
    expect(segments.map(({ paths, damaged, applying }) => [paths.size, damaged, applying])).toEqual([
      [4, false, 0],
    ]);
    await replay();
    expect(changes).toBe(2);
  });

  it('goes by the order of the log, within a segment and from one to the next', async () => {
    await segment(2, lines(write('a', '3'), write('b', '3'), { path: 'c', removed: 'file' }));
    await segment(
      1,
      lines(write('a', '1'), write('a', '2'), write('b', '2'), write('c', '2'), write('d', '2')),
    );
    expect((await replay()).nextNumber).toBe(3);
    expect(files()).toEqual({ a: '3', b: '3', d: '2' });
  });

  it('removes a folder with all that was in it, and not what was written after', async () => {
    await disk.files.makeDirectory('/data/vm-1');
    await disk.files.writeText('/data/vm-1/older.json', 'x', true);
    await disk.files.makeDirectory('/data/.wal/removed-3/commands');
    await segment(
      1,
      lines(
        write('vm-1/before', 'x'),
        write('vm-10/before', 'x'),
        { path: 'vm-1', removed: 'tree' },
        write('vm-1/after', 'x'),
      ),
    );
    await replay();
    expect(files()).toEqual({ 'vm-1/after': 'x', 'vm-10/before': 'x' });
    expect(await disk.files.kindOf('/data/.wal/removed-3')).toBeUndefined();
  });

  it('drops a torn end: it was confirmed to nobody, and nothing is set aside', async () => {
    const whole = lines(write('a', '1'), write('b', '2'));
    for (const torn of [whole.slice(0, -1 - 10), `${lines(write('a', '1'))}${'\0'.repeat(100)}`]) {
      await disk.files.remove('/data/b');
      await segment(1, torn);
      expect((await replay()).segments[0]?.damaged).toBe(false);
      expect(files()).toEqual({ a: '1' });
    }
    expect(setAside.list()).toEqual([]);
    expect(log.text()).toContain('the last write before a crash was torn');
  });

  it('takes the good lines around a bad one, keeps the segment and tells of it', async () => {
    const [first, second, third] = [write('a', '1'), write('b', '2'), write('c', '3')].map(toLine);
    await segment(1, `${first}${second?.replace('2', '7')}${third}garbage`);
    const { segments } = await replay();
    expect(files()).toEqual({ a: '1', c: '3' });
    expect(segments[0]?.damaged).toBe(true);
    expect(setAside.list()).toEqual([
      {
        vmId: undefined,
        file: '/data/.wal/0000000001.log',
        setAsideAs: '/data/.wal/0000000001.log.bad',
        reason: '1 lines of the log cannot be read, the first is line 2; the others count',
      },
    ]);
  });

  it('puts what stands in the way of a file aside: a folder in its place, a file in place of its folder', async () => {
    await disk.files.makeDirectory('/data/vm-1/vm.json/inside');
    await disk.files.writeText('/data/vm-2', 'mine', true);
    await segment(1, lines(write('vm-1/vm.json', '1'), write('vm-2/commands/a.json', '2')));
    await replay();
    expect(files()).toEqual({ 'vm-1/vm.json': '1', 'vm-2/commands/a.json': '2', 'vm-2.bad': 'mine' });
    expect(setAside.list().map(({ vmId, file, reason }) => [vmId, file, reason])).toEqual(
      expect.arrayContaining([
        ['vm-1', '/data/vm-1/vm.json', 'a file should be here'],
        ['vm-2', '/data/vm-2', 'a directory should be here'],
      ]),
    );
  });

  it('does not trip over what is not a segment', async () => {
    await disk.files.makeDirectory('/data/.wal/0000000001.log');
    await disk.files.writeText('/data/.wal/notes.txt', 'mine', true);
    expect(await replay()).toEqual({ segments: [], nextNumber: 1 });
    expect(setAside.list()).toMatchObject([{ setAsideAs: '/data/.wal/0000000001.log.bad' }]);
    expect(disk.contents()).toEqual({ '/data/.wal/notes.txt': 'mine' });
  });

  it('that cannot be read is refused with the path and the remedy: what was accepted may be in it (I1)', async () => {
    await segment(1, lines(write('a', '1')));
    for (const [operation, at] of [
      ['list', '/data/.wal'],
      ['read', '/data/.wal/0000000001.log'],
    ]) {
      disk.setFaults((done) => (done === operation ? 'EACCES' : undefined));
      await expect(replay()).rejects.toMatchObject({
        code: 'data-directory-unreadable',
        message: expect.stringMatching(
          new RegExp(`^${at} in the data directory cannot be read \\(EACCES: .*give this user the right`),
        ) as unknown,
      });
    }
  });

  it('on a full disk is refused with the error of the system, and is done when there is room', async () => {
    await segment(1, lines(write('a', '1')));
    disk.setFaults((operation) => (operation === 'write' ? 'ENOSPC' : undefined));
    await expect(replay()).rejects.toMatchObject({ code: 'ENOSPC' });
    disk.setFaults(undefined);
    await replay();
    expect(files()).toMatchObject({ a: '1' });
  });
});
