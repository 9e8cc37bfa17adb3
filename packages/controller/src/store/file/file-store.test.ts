import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createTestLog, type TestLog } from '../../test-log.contract.js';
import { commandRecord, vmEvent, vmRecord, vmReport } from '../samples.contract.js';
import { storeContract } from '../store.contract.js';
import { StoreUnavailableError, type Store } from '../store.js';
import { DataDirectoryInUseError } from './directory-lock.js';
import { openFileStore } from './file-store.js';

const RETENTION = { maxAgeMs: 7 * 86_400_000, maxEvents: 10_000, maxHeartbeats: 100 };
const makeDirectory = () => mkdtemp(path.join(os.tmpdir(), 'mig-store-'));

storeContract('files', async () => {
  const directory = await makeDirectory();
  return {
    open: (options) => openFileStore({ directory: path.join(directory, 'data'), ...options }),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
});

describe('the files of the default store', () => {
  let directory: string;
  let log: TestLog;
  let store: Store;
  const clock = createManualClock();
  const inVm = (...names: string[]) => path.join(directory, 'vm-1', ...names);
  const open = async () => {
    store = await openFileStore({ directory, retention: RETENTION, clock, logger: log.logger });
  };

  beforeEach(async () => {
    directory = await makeDirectory();
    log = createTestLog();
    await open();
  });
  afterEach(async () => {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function fill(): Promise<void> {
    await store.saveVm(vmRecord());
    await store.saveCommand(commandRecord());
    await store.appendEvent(vmEvent({ type: 'vm_started' }), 'http');
    await store.appendEvent(vmEvent({ type: 'job-started.x', sequence: 1 }), 'grpc');
    store.keepHeartbeat(vmRecord(), vmReport());
    clock.advance(1_000);
    await store.close();
  }

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
    expect(JSON.parse(await readFile(inVm('vm.json'), 'utf8'))).toMatchObject({
      vm_id: 'vm-1',
      state: 'ready.idle',
    });
  });

  it('a type with dashes is found again by its stamp', async () => {
    await fill();
    await open();
    expect((await store.events('vm-1', { limit: 9 })).map((event) => event.type)).toEqual([
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

  describe('a file that is torn or foreign is set aside as .bad and reported; others still load', () => {
    beforeEach(fill);
    const setAside = () =>
      log.lines().filter((line) => line['msg'] === 'a stored file is torn or foreign; it is set aside');

    it('a command', async () => {
      await writeFile(inVm('commands', 'cmd-2.json'), '{"id": "cmd-2", "vm_');
      await writeFile(inVm('commands', 'cmd-3.json'), '{"id": "cmd-3"}');
      await open();
      expect(store.loadedCommands().map((command) => command.id)).toEqual(['cmd-1']);
      expect((await readdir(inVm('commands'))).sort()).toEqual([
        'cmd-1.json',
        'cmd-2.json.bad',
        'cmd-3.json.bad',
      ]);
      expect(
        setAside()
          .map((line) => line['file'])
          .sort(),
      ).toEqual([inVm('commands', 'cmd-2.json'), inVm('commands', 'cmd-3.json')]);
    });

    it('the record of a VM: its commands and events are still there (I1)', async () => {
      await writeFile(inVm('vm.json'), '');
      await open();
      expect(store.loadedVms()).toEqual([]);
      expect(await readdir(inVm())).toContain('vm.json.bad');
      expect(setAside()).toHaveLength(1);
      expect(store.loadedCommands().map((command) => command.id)).toEqual(['cmd-1']);
      expect(await store.events('vm-1', { limit: 9 })).toHaveLength(2);
    });

    it('the newest event: the position is the one before it', async () => {
      await writeFile(inVm('grpc-event-x-20991231T000000.000000Z.json'), '{"');
      await open();
      expect(store.eventPosition('vm-1')).toMatchObject({ bootId: 'boot-1', sequence: 1 });
      expect(await store.events('vm-1', { limit: 9 })).toHaveLength(2);
    });

    it('records that lie in the folder of another VM are not loaded', async () => {
      await writeFile(inVm('vm.json'), (await readFile(inVm('vm.json'), 'utf8')).replace('"vm-1"', '"vm-2"'));
      await open();
      expect(store.loadedVms()).toEqual([]);
    });

    it('files and folders that are not ours stay where they are', async () => {
      await writeFile(path.join(directory, 'README'), 'mine');
      await writeFile(inVm('event-note.json'), 'mine');
      await open();
      expect(await readFile(inVm('event-note.json'), 'utf8')).toBe('mine');
      expect(store.loadedVms()).toHaveLength(1);
    });
  });

  it('a second store on the same folder is refused; closing the first frees it', async () => {
    await expect(
      openFileStore({ directory, retention: RETENTION, clock, logger: log.logger }),
    ).rejects.toThrow(DataDirectoryInUseError);
    await store.close();
    await open();
  });

  describe('when nothing can be written', () => {
    // Root may write anywhere: a regular file where the folder should be stops it too (ENOTDIR).
    beforeEach(() => writeFile(path.join(directory, 'vm-1'), 'a file'));

    it('a VM, a command and an event are refused with what could not be stored, and why (I1, I4)', async () => {
      for (const [what, saved] of [
        ['the record of VM vm-1', store.saveVm(vmRecord())],
        ['command cmd-1', store.saveCommand(commandRecord())],
        ['an event of VM vm-1', store.appendEvent(vmEvent(), 'grpc')],
      ] as const) {
        await expect(saved).rejects.toThrow(StoreUnavailableError);
        await expect(saved).rejects.toThrow(new RegExp(`^${what} could not be stored: .*(ENOTDIR|EEXIST)`));
      }
    });

    it('it can be written again when the way is free', async () => {
      await store.saveCommand(commandRecord()).catch(() => undefined);
      await rm(path.join(directory, 'vm-1'));
      await store.saveCommand(commandRecord());
      await store.close();
      await open();
      expect(store.loadedCommands()).toEqual([commandRecord()]);
    });

    it('the data directory itself is refused with the error of the system', async () => {
      const below = path.join(directory, 'vm-1', 'data');
      const opened = openFileStore({ directory: below, retention: RETENTION, clock, logger: log.logger });
      await expect(opened).rejects.toMatchObject({
        code: expect.stringMatching(/ENOTDIR|EEXIST/) as unknown,
      });
    });
  });
});
