import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { neverBusy } from '@mig/common/process-load';
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@mig/common/clock';
import { until } from '@mig/testkit/github/until';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createTestLog, type TestLog } from '../../test-log.contract.js';
import { openDurableFiles, type DurableFiles } from './durable-files.js';
import { createFileWriter, type FileWriter } from './file-writer.js';
import type { LogEntry } from './log-entry.js';
import { createMemoryDisk, type FaultCode, type MemoryDisk } from './memory-disk.contract.js';
import { nodeFiles } from './node-files.js';
import { createSetAside } from './set-aside.js';

const always = (content: string) => () => content;

describe('writing whole files', () => {
  let directory: string;
  let writer: DurableFiles;
  const at = (name: string) => path.join(directory, name);
  /** Records it, and waits until it is in its place. */
  async function record(name: string, content: string): Promise<void> {
    await writer.record(at(name), always(content), 'now');
    await until(`${name} is in its place`, () => isThere(name, content));
  }
  const isThere = async (name: string, content: string) =>
    (await readFile(at(name), 'utf8').catch(() => undefined)) === content;
  const names = async () => (await readdir(directory)).filter((name) => name !== '.wal').sort();

  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'mig-writer-'));
    const { logger } = createTestLog();
    writer = await openDurableFiles(
      {
        files: nodeFiles,
        clock: systemClock,
        logger,
        setAside: createSetAside(nodeFiles, logger),
        isBusy: neverBusy,
      },
      { root: directory },
    );
  });
  afterEach(async () => {
    await writer.close();
    await rm(directory, { recursive: true, force: true });
  });

  it.each<[string, (name: string, content: string) => Promise<void>]>([
    ['written', (name, content) => writer.write(at(name), always(content))],
    ['recorded', (name, content) => record(name, content)],
  ])(
    'a reader sees the old content or the new, never a part, while it is %s again and again',
    async (_, put) => {
      const contents = Array.from({ length: 30 }, (_content, n) => String(n % 10).repeat(100_000 + n));
      await put('a', contents[0] ?? '');
      let writing = true;
      const writes = (async () => {
        for (const content of contents) await put('a', content);
        writing = false;
      })();
      while (writing) expect(contents).toContain(await readFile(at('a'), 'utf8'));
      await writes;
      expect(await readFile(at('a'), 'utf8')).toBe(contents.at(-1));
    },
  );

  it('writes to one file that wait become one: the newest wins, is made once, and each caller hears of it', async () => {
    let made = 0;
    const writes = Array.from({ length: 100 }, (_, n) => writer.write(at('a'), () => `${n} ${(made += 1)}`));
    await Promise.all(writes);
    expect(await readFile(at('a'), 'utf8')).toMatch(/^99 /);
    expect(new Set(writes).size).toBeLessThan(4);
    expect(made).toBeLessThan(4);
  });

  it('writes to many files go side by side, more than are opened at a time', async () => {
    await Promise.all(Array.from({ length: 200 }, (_, n) => writer.write(at(`f${n}`), always(`${n}`))));
    expect(await names()).toHaveLength(200);
  });

  it('a removal comes after the write that was asked for before it, and before the one after it', async () => {
    const first = writer.write(at('a'), always('1'));
    const removed = writer.remove(at('a'));
    const second = writer.write(at('a'), always('2'));
    const removedTree = writer.removeTree(at('vm'));
    await Promise.all([first, removed, second, removedTree]);
    expect(await readFile(at('a'), 'utf8')).toBe('2');
    await writer.remove(at('never'));
    await Promise.all([writer.write(at('b'), always('1')), writer.remove(at('b'))]);
    expect(await names()).toEqual(['a']);
  });

  it('the removal of a folder takes what was asked for before it, and nothing of what comes after it', async () => {
    await Promise.all([
      writer.write(at('vm/commands/a'), always('1')),
      writer.write(at('vm/b'), always('1')),
      writer.removeTree(at('vm')),
      writer.write(at('vm/b'), always('2')),
      writer.write(at('vmx/b'), always('1')),
      writer.remove(at('vmx/c')),
    ]);
    expect(await readdir(at('vm'))).toEqual(['b']);
    expect(await readFile(at('vm/b'), 'utf8')).toBe('2');
    expect(await readdir(at('vmx'))).toEqual(['b']);
  });

  it('a folder that vanished is made anew', async () => {
    await record('vm/a', '1');
    await rm(directory, { recursive: true });
    await record('vm/b', '2');
    expect((await readdir(at('.wal'))).length).toBe(1);
  });

  it('a write that fails is told to its caller, leaves nothing behind, and does not stop the next', async () => {
    await writer.write(at('file'), always('x'));
    await expect(writer.write(at('file/a'), always('x'))).rejects.toThrow(/ENOTDIR/);
    await rm(at('file'));
    await writer.write(at('file/a'), always('x'));
    expect(await readFile(at('file/a'), 'utf8')).toBe('x');
  });

  it('a folder that stands where a file should be is put aside', async () => {
    await mkdir(at('a/b'), { recursive: true });
    await record('a', 'x');
    expect(await names()).toEqual(['a', 'a.bad']);
  });

  it('is done, synced and no longer in the log when it is closed', async () => {
    void writer.record(at('a'), always('1'), 'later');
    void writer.write(at('b'), always('2'));
    await writer.close();
    expect(await names()).toEqual(['a', 'b']);
    expect(await readdir(at('.wal'))).toEqual([]);
  });

  it('a probe leaves nothing behind', async () => {
    await writer.probe();
    await writer.close();
    expect(await readdir(at('.wal'))).toEqual([]);
    expect(await names()).toEqual([]);
  });
});

describe('what is in the log, and could not be put in its place', () => {
  let disk: MemoryDisk;
  let log: TestLog;
  let entries: LogEntry[];
  let writer: FileWriter;
  let clock: ManualClock;
  /** The faults of the next operations of a kind, in their order; undefined = none. */
  let faults: Record<string, (FaultCode | undefined)[]>;

  beforeEach(async () => {
    disk = createMemoryDisk(() => 0);
    clock = createManualClock();
    log = createTestLog();
    entries = [];
    faults = {};
    await disk.files.makeDirectory('/data/.wal');
    disk.setFaults((operation) => faults[operation]?.shift());
    writer = createFileWriter(
      {
        files: disk.files,
        log: {
          append: async (entry, onLogged) => {
            entries.push(entry());
            onLogged?.();
            return () => undefined;
          },
          enter({ entry, onLogged }) {
            queueMicrotask(() => {
              entries.push(entry());
              onLogged(() => undefined);
            });
          },
        },
        room: async () => undefined,
        hasRoom: () => true,
        clock,
        isBusy: neverBusy,
        setAside: createSetAside(disk.files, log.logger),
        logger: log.logger,
      },
      '/data',
    );
  });
  /** Records it; it is in its place then, if it can be. */
  async function save(file: string, content: () => string): Promise<void> {
    await writer.record(file, content, 'now');
    await writer.idle();
  }
  const contents = () => disk.contents();
  const durable = () => disk.afterPowerCut().contents();

  it('counts as written, and is put there, durably, when it is settled', async () => {
    faults = { rename: ['EIO'] };
    await save('/data/a', always('1'));
    expect(contents()).toEqual({});
    expect(log.text()).toContain('could not be put in its place; it is tried again');
    await writer.settle('/data/a');
    await disk.files.syncDirectory('/data');
    await disk.files.syncDirectory('/');
    expect(durable()).toEqual({ '/data/a': '1' });
  });

  it('goes on in the log if it cannot be settled either', async () => {
    faults = { rename: ['EIO', 'EIO'] };
    await save('/data/a', always('1'));
    await writer.settle('/data/a');
    expect(entries).toEqual([
      { path: 'a', content: '1' },
      { path: 'a', content: '1' },
    ]);
    await writer.settle('/data/a');
    expect(contents()).toEqual({ '/data/a': '1' });
    expect(entries).toHaveLength(2);
  });

  it('gives way to what was written after it', async () => {
    faults = { rename: ['EIO'] };
    await save('/data/a', always('1'));
    await save('/data/a', always('2'));
    await writer.settle('/data/a');
    expect(contents()).toEqual({ '/data/a': '2' });
  });

  it('is written anew after a sync that failed, however often the sync then succeeds', async () => {
    await save('/data/a', always('1'));
    faults = { sync: ['EIO'], read: ['EIO'] };
    await expect(writer.settle('/data/a')).rejects.toThrow('EIO');
    await writer.settle('/data/a');
    await disk.files.syncDirectory('/data');
    await disk.files.syncDirectory('/');
    expect(durable()).toEqual({ '/data/a': '1' });
  });

  it('is not waited for while it is being written again', async () => {
    faults = { rename: ['EIO'] };
    await save('/data/a', always('1'));
    const write = save('/data/a', always('2'));
    await expect(writer.settle('/data/a')).rejects.toThrow('/data/a is being written');
    await write;
  });

  it('is nothing to settle once the file is gone, or somebody put a link in its place', async () => {
    await writer.settle('/data/never');
    await save('/data/a', always('1'));
    await writer.remove('/data/a');
    await writer.settle('/data/a');
    expect(contents()).toEqual({});
    await save('/data/b', always('1'));
    faults = { open: ['EACCES'] };
    await writer.settle('/data/b');
    expect(log.text()).toContain('a stored file is gone');
  });

  it('a removed folder that cannot be moved away goes before anything is written there, and at the latest when it is settled', async () => {
    await save('/data/vm/a', always('1'));
    faults = { rename: ['EIO', 'EIO'] };
    await writer.removeTree('/data/vm');
    expect(Object.keys(contents())).toEqual(['/data/vm/a']);
    await save('/data/vm/b', always('2'));
    expect(Object.keys(contents())).toEqual(['/data/vm/a']);
    await Promise.all(['b', 'c'].map((name) => save(`/data/vm/${name}`, always('3'))));
    expect(contents()).toEqual({ '/data/vm/b': '3', '/data/vm/c': '3' });

    faults = { rename: ['EIO', 'EIO'] };
    await writer.removeTree('/data/vm');
    await expect(writer.settle('/data/vm')).rejects.toThrow('EIO');
    await writer.settle('/data/vm');
    expect(contents()).toEqual({});
  });

  it('a file of a removed folder does not come back because its sync had failed', async () => {
    await save('/data/vm/a', always('1'));
    faults = { sync: ['EIO'], read: ['EIO'], rename: ['EIO'] };
    await expect(writer.settle('/data/vm/a')).rejects.toThrow('EIO');
    await writer.removeTree('/data/vm');
    faults = { sync: ['EIO'], rename: ['EIO'] };
    await writer.settle('/data/vm/a');
    faults = {};
    expect(entries.at(-1)).toEqual({ path: 'vm', removed: 'tree' });
    await writer.settle('/data/vm');
    expect(contents()).toEqual({});
  });

  it('a record is in the log at once, and in its place a moment later: the newest of what came until then', async () => {
    const recorded = ['1', '2', '3'].map((content) => writer.record('/data/vm/a', always(content), 'later'));
    await Promise.all(recorded);
    expect(entries).toEqual([{ path: 'vm/a', content: '3' }]);
    expect(contents()).toEqual({});
    clock.advance(500);
    await until('it is in its place', () => contents()['/data/vm/a'] === '3');
    expect(clock.timerCount).toBe(0);
  });

  it('a record that is removed before it is in its place never gets there; one that comes after the removal does', async () => {
    await writer.record('/data/a', always('1'), 'later');
    await writer.record('/data/vm/b', always('1'), 'later');
    await Promise.all([writer.remove('/data/a'), writer.removeTree('/data/vm')]);
    await writer.record('/data/vm/c', always('1'), 'later');
    await writer.idle();
    expect(contents()).toEqual({ '/data/vm/c': '1' });
    const removed = [writer.remove('/data/vm/c'), writer.record('/data/vm/c', always('2'), 'later')];
    await Promise.all(removed);
    await writer.idle();
    expect(entries.slice(-2)).toEqual([
      { path: 'vm/c', removed: 'file' },
      { path: 'vm/c', content: '2' },
    ]);
    expect(contents()).toEqual({ '/data/vm/c': '2' });
  });

  it('a record that is made anew while it is moved into its place gets there too', async () => {
    for (let n = 1; n <= 20; n += 1) {
      await writer.record('/data/a', always(`${n}`), 'later');
      clock.advance(500);
      for (let turn = 0; turn < n % 7; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    await writer.idle();
    expect(contents()).toEqual({ '/data/a': '20' });
  });

  it('a record is not taken back by an older one that is being made good', async () => {
    for (let turns = 0; turns < 12; turns += 1) {
      await writer.record('/data/a', always('old'), 'later');
      faults = { rename: turns % 2 === 0 ? ['EIO'] : [] };
      const settling = writer
        .settle('/data/a')
        .catch((error: Error) => expect(error.message).toMatch(/written/));
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await writer.record('/data/a', always('new'), 'later');
      await settling;
      expect(entries.at(-1)).toEqual({ path: 'a', content: 'new' });
      await writer.idle();
      expect(contents()).toEqual({ '/data/a': 'new' });
    }
  });

  it('a record that cannot be moved into its place is moved there, durably, when it is settled', async () => {
    faults = { rename: ['EIO'] };
    await writer.record('/data/a', always('1'), 'later');
    await writer.idle();
    expect(contents()).toEqual({});
    await writer.settle('/data/a');
    await disk.files.syncDirectory('/data');
    await disk.files.syncDirectory('/');
    expect(durable()).toEqual({ '/data/a': '1' });
  });

  it('what cannot be removed from the log is not removed', async () => {
    await save('/data/a', always('1'));
    const failing = createFileWriter(
      {
        files: disk.files,
        log: {
          append: () => Promise.reject(new Error('full')),
          enter: ({ onRefused }) => queueMicrotask(() => onRefused(new Error('full'))),
        },
        room: async () => undefined,
        hasRoom: () => true,
        clock,
        isBusy: neverBusy,
        setAside: createSetAside(disk.files, log.logger),
        logger: log.logger,
      },
      '/data',
    );
    await expect(failing.remove('/data/a')).rejects.toThrow('full');
    await expect(failing.removeTree('/data')).rejects.toThrow('full');
    await expect(failing.record('/data/b', always('1'), 'now')).rejects.toThrow('full');
    expect(contents()).toEqual({ '/data/a': '1' });
  });

  it.each<[string, (file: string) => Promise<void>]>([
    ['files', (file) => writer.write(file, always(''))],
    ['records', (file) => writer.record(file, always(''), 'later')],
  ])('of more than 100,000 %s that wait the next is refused (I12)', async (what, put) => {
    const puts = Array.from({ length: 100_000 }, (_, n) => put(`/data/f${n}`));
    disk.killAfter(0);
    await expect(put('/data/x')).rejects.toThrow(`more than 100000 ${what} wait to be written`);
    expect(puts).toHaveLength(100_000);
  });
});
