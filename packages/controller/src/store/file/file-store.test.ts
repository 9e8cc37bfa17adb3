import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DirectoryInUseError } from '@mig/common/directory-lock';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { until } from '@mig/testkit/github/until';
import { commandRecord, vmEvent, vmRecord, vmReport } from '../samples.contract.js';
import { storeContract } from '../store.contract.js';
import { StoreUnavailableError } from '../store.js';
import { openFileStore } from './file-store.js';
import { nodeFiles } from './node-files.js';
import { createStoreOnDisk, makeDirectory, RETENTION, type StoreOnDisk } from './store-on-disk.contract.js';

storeContract('files', async () => {
  const directory = await makeDirectory();
  return {
    open: (options) => openFileStore({ directory: path.join(directory, 'data'), ...options }),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
});

describe('the files of the default store', () => {
  let disk: StoreOnDisk;
  beforeEach(async () => {
    disk = await createStoreOnDisk();
  });
  afterEach(() => disk.remove());
  const inVm = (...names: string[]) => disk.inVm(...names);
  const open = () => disk.open();
  const fill = () => disk.fill();

  it('have the names of protocol.md, section 5, and nothing temporary beside them', async () => {
    await fill();
    expect((await readdir(inVm())).sort()).toEqual([
      'commands',
      expect.stringMatching(/^event-vm_started-\d{8}T\d{6}\.\d{6}Z\.json$/),
      expect.stringMatching(/^grpc-event-job-started\.x-\d{8}T\d{6}\.\d{6}Z\.json$/),
      expect.stringMatching(/^grpc-heartbeat-\d{8}T\d{6}\.\d{6}Z\.json$/),
      'vm.json',
    ]);
    expect(await readdir(inVm('commands'))).toEqual(['cmd-1.json']);
    expect((await readdir(disk.directory)).sort()).toEqual(['.drains', '.wal', 'vm-1']);
    expect(await readdir(path.join(disk.directory, '.drains'))).toEqual(['drain-1.json']);
    expect(await readdir(path.join(disk.directory, '.wal'))).toEqual([]);
    expect(JSON.parse(await readFile(inVm('vm.json'), 'utf8'))).toMatchObject({
      vm_id: 'vm-1',
      state: 'ready.idle',
    });
  });

  it('are where a person looks for them while the controller runs, and are in the log too, but for heartbeats', async () => {
    await disk.store.saveCommand(commandRecord());
    await disk.store.saveVm(vmRecord());
    disk.store.keepHeartbeat(vmRecord(), vmReport());
    disk.clock.advance(1_000);
    const there = async (...parts: string[]) => (await readdir(inVm(...parts)).catch(() => [])).length;
    await until('all is there', async () => (await there()) === 3 && (await there('commands')) === 1);
    expect(JSON.parse(await readFile(inVm('commands', 'cmd-1.json'), 'utf8'))).toMatchObject({ id: 'cmd-1' });
    const segments = await readdir(path.join(disk.directory, '.wal'));
    const lines = (await readFile(path.join(disk.directory, '.wal', segments[0] ?? ''), 'utf8')).split('\n');
    expect(
      lines.filter(Boolean).map((line) => (JSON.parse(line.slice(17)) as { path: string }).path),
    ).toEqual(['vm-1/commands/cmd-1.json', 'vm-1/vm.json']);
  });

  it('leave the log when they are synced, a minute after the first', async () => {
    await disk.store.saveCommand(commandRecord());
    disk.clock.advance(60_000);
    await until(
      'the log is empty',
      async () => (await readdir(path.join(disk.directory, '.wal'))).length === 0,
    );
    expect(await readdir(inVm('commands'))).toEqual(['cmd-1.json']);
  });

  it('a file that stands where a folder of a VM should be is put aside, and what was told is there', async () => {
    await writeFile(inVm(), 'somebody else was here');
    await disk.store.appendEvent(vmEvent({ sequence: 1 }), 'grpc');
    expect(await disk.store.events('vm-1', { limit: 10 })).toMatchObject([{ sequence: 1 }]);
    expect(await readFile(`${inVm()}.bad`, 'utf8')).toBe('somebody else was here');
  });

  it('a copy of them that was taken while they were written holds all that was there before (backup)', async () => {
    const writing = (async () => {
      for (let n = 1; n <= 300; n += 1) {
        await Promise.all([
          disk.store.appendEvent(vmEvent({ sequence: n }), 'grpc'),
          disk.store.saveVm(vmRecord({ stateReason: `${n}` })),
          disk.store.saveCommand(commandRecord({ id: `cmd-${n}`, message: `${n}` })),
        ]);
        if (n % 100 === 0) disk.clock.advance(60_000);
      }
    })();
    const copies: { readonly copy: string; readonly before: number }[] = [];
    for (let n = 0; n < 3; n += 1) {
      await until('more was written', () => disk.store.eventPosition('vm-1').sequence > n * 90 + 20);
      const before = disk.store.eventPosition('vm-1').sequence;
      const copy = await makeDirectory();
      copies.push({ copy, before });
      await copyWhatIsThere(disk.directory, copy);
    }
    await writing;
    for (const { copy, before } of copies) {
      const opened = await openFileStore({
        directory: copy,
        retention: RETENTION,
        clock: disk.clock,
        logger: disk.log.logger,
      });
      expect(opened.setAside()).toEqual([]);
      expect(Number(opened.loadedVms()[0]?.stateReason)).toBeGreaterThanOrEqual(before - 1);
      const ids = new Set(opened.loadedCommands().map((command) => command.id));
      for (let n = 1; n < before; n += 1) expect(ids).toContain(`cmd-${n}`);
      const sequences = (await opened.events('vm-1', { limit: 1_000 })).map((event) => event.sequence);
      expect(sequences.slice(0, before)).toEqual(Array.from({ length: before }, (_, n) => n + 1));
      await opened.close();
      await rm(copy, { recursive: true });
    }
  });

  it('a type with dashes is found again by its stamp', async () => {
    await fill();
    await open();
    expect((await disk.store.events('vm-1', { limit: 9 })).map((event) => event.type)).toEqual([
      'vm_started',
      'job-started.x',
    ]);
  });

  it('what a crash left half-written is removed, and never read', async () => {
    await fill();
    await writeFile(inVm('.vm.json.7.tmp'), '{"vm_id"');
    await writeFile(inVm('commands', '.cmd-2.json.8.tmp'), '{}');
    await open();
    expect((await readdir(inVm())).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(await readdir(inVm('commands'))).toEqual(['cmd-1.json']);
  });

  it('a store that is closed refuses to write, and can be closed again', async () => {
    await disk.store.close();
    await expect(disk.store.saveVm(vmRecord())).rejects.toThrow(
      'the record of VM vm-1 could not be stored: the store is closed',
    );
    await disk.store.close();
    await open();
  });

  it('when its folder is emptied while it runs, what is stored from then on is kept', async () => {
    await disk.store.saveCommand(commandRecord());
    disk.clock.advance(1_000);
    await until('it is there', () => existsSync(inVm('commands', 'cmd-1.json')));
    await rm(disk.directory, { recursive: true });
    await disk.store.saveCommand(commandRecord({ id: 'cmd-2' }));
    await disk.store.appendEvent(vmEvent({ sequence: 1 }), 'grpc');
    await disk.store.close();
    await open();
    expect(disk.store.loadedCommands()).toEqual([commandRecord({ id: 'cmd-2' })]);
    expect(await disk.store.events('vm-1', { limit: 9 })).toHaveLength(1);
  });

  it('a second store on the same folder is refused; closing the first frees it', async () => {
    await expect(
      openFileStore({
        directory: disk.directory,
        retention: RETENTION,
        clock: disk.clock,
        logger: disk.log.logger,
      }),
    ).rejects.toThrow(DirectoryInUseError);
    await disk.store.close();
    await open();
  });

  describe('when nothing can be written', () => {
    // Root may write anywhere: a regular file where the folder of the log should be stops it too (ENOTDIR).
    const inTheWay = () => path.join(disk.directory, '.wal');
    beforeEach(() => writeFile(inTheWay(), 'a file'));

    it('a VM, a command and an event are refused with what could not be stored, and why (I1, I4)', async () => {
      for (const [what, saved] of [
        ['the record of VM vm-1', disk.store.saveVm(vmRecord())],
        ['command cmd-1', disk.store.saveCommand(commandRecord())],
        ['an event of VM vm-1', disk.store.appendEvent(vmEvent(), 'grpc')],
      ] as const) {
        await expect(saved).rejects.toThrow(StoreUnavailableError);
        await expect(saved).rejects.toThrow(new RegExp(`^${what} could not be stored: .*(ENOTDIR|EEXIST)`));
      }
    });

    it('it can be written again when the way is free', async () => {
      await disk.store.saveCommand(commandRecord()).catch(() => undefined);
      await rm(inTheWay());
      await disk.store.saveCommand(commandRecord());
      await disk.store.close();
      await open();
      expect(disk.store.loadedCommands()).toEqual([commandRecord()]);
    });

    it('it has a problem until something can be written again, also if nobody writes', async () => {
      let full = true;
      await rm(inTheWay());
      const ifThereIsRoom = async <T>(write: () => Promise<T>): Promise<T> => {
        if (full) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
        return write();
      };
      await disk.openOn({
        writeText: (...given) => ifThereIsRoom(() => nodeFiles.writeText(...given)),
        createLogFile: (file) => ifThereIsRoom(() => nodeFiles.createLogFile(file)),
      });
      expect(disk.store.problem()).toBeUndefined();
      await disk.store.saveCommand(commandRecord({ vmId: 'vm-2' })).catch(() => undefined);
      expect(disk.store.problem()).toBe('command cmd-1 could not be stored: ENOSPC: no space left');
      for (let n = 0; n < 3; n += 1) {
        disk.clock.advance(2_000);
        await until('it was tried', () => disk.clock.timerCount > 1);
        expect(disk.store.problem()).toBeDefined();
      }
      full = false;
      disk.clock.advance(2_000);
      await until('it has no problem', () => disk.store.problem() === undefined);
      const told = disk.log.lines().map((line) => line['msg']);
      expect(told.filter((message) => message === 'nothing can be stored')).toHaveLength(1);
      expect(told.filter((message) => message === 'it can be stored again')).toHaveLength(1);
      await disk.store.saveCommand(commandRecord({ vmId: 'vm-2' }));
    });

    it('a command that was refused is not there after a reopening, and its id is free', async () => {
      await expect(disk.store.saveCommand(commandRecord({ state: 'sent' }))).rejects.toThrow(
        StoreUnavailableError,
      );
      await rm(inTheWay());
      await disk.store.saveCommand(commandRecord({ state: 'queued' }));
      await disk.store.close();
      await open();
      expect(disk.store.loadedCommands()).toEqual([commandRecord()]);
    });

    it('the data directory itself is refused with the error of the system', async () => {
      const below = path.join(inTheWay(), 'data');
      const opened = openFileStore({
        directory: below,
        retention: RETENTION,
        clock: disk.clock,
        logger: disk.log.logger,
      });
      await expect(opened).rejects.toMatchObject({
        code: expect.stringMatching(/ENOTDIR|EEXIST/) as unknown,
      });
    });
  });
});

/** As a backup does it: file by file, while they change; what vanishes on the way is left out. */
async function copyWhatIsThere(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (entry.name === '.controller.lock') continue;
    if (entry.isDirectory()) await copyWhatIsThere(source, target);
    else
      await readFile(source).then(
        (content) => writeFile(target, content),
        () => undefined,
      );
  }
}
