import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { toWorkflowJobRecordResource } from '@mig/common/api/workflow-job-resource';
import { commandRecord, drainRecord, vmRecord, workflowJob } from '../samples.contract.js';
import { nodeFiles } from './node-files.js';
import { createStoreOnDisk, type StoreOnDisk } from './store-on-disk.contract.js';

describe('what is in the data directory and should not be', () => {
  let disk: StoreOnDisk;
  beforeEach(async () => {
    disk = await createStoreOnDisk();
  });
  afterEach(() => disk.remove());
  const inVm = (...names: string[]) => disk.inVm(...names);
  const open = () => disk.open();
  const fill = () => disk.fill();

  describe('a file that is torn or foreign is set aside as .bad and reported; others still load', () => {
    beforeEach(fill);
    const listed = () =>
      disk.store
        .setAside()
        .map(({ vmId, file, setAsideAs }) => [
          vmId,
          path.relative(disk.directory, file),
          path.relative(path.dirname(file), setAsideAs),
        ])
        .sort();
    const setAside = () =>
      disk.log.lines().filter((line) => line['msg'] === 'a stored file is torn or foreign; it is set aside');

    it('a command', async () => {
      await writeFile(inVm('commands', 'cmd-2.json'), '{"id": "cmd-2", "vm_');
      await writeFile(inVm('commands', 'cmd-3.json'), '{"id": "cmd-3"}');
      await open();
      expect(disk.store.loadedCommands().map((command) => command.id)).toEqual(['cmd-1']);
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

    it.each([
      ['nothing', ''],
      ['binary garbage', '\x00\xff\x1b[2J\xfe'],
      ['half a record', '{"id": "cmd-2", "vm_'],
      ['JSON of another shape', '[1, 2]'],
      ['null', 'null'],
      ['a number without an end', '1'.repeat(100_000)],
      ['a record of another name', JSON.stringify({ id: 'cmd-9', vm_id: 'vm-1' })],
      ['deep nesting', '['.repeat(100_000)],
    ])('%s, as a VM, a command, a drain and an event', async (_, content) => {
      await writeFile(inVm('vm.json'), content, 'latin1');
      await writeFile(inVm('commands', 'cmd-2.json'), content, 'latin1');
      await writeFile(path.join(disk.directory, '.drains', 'drain-2.json'), content, 'latin1');
      await writeFile(inVm('grpc-event-x-20991231T000000.000000Z.json'), content, 'latin1');
      await open();
      expect(listed()).toEqual([
        [undefined, '.drains/drain-2.json', 'drain-2.json.bad'],
        ['vm-1', 'vm-1/commands/cmd-2.json', 'cmd-2.json.bad'],
        ['vm-1', 'vm-1/grpc-event-x-20991231T000000.000000Z.json', expect.stringMatching(/\.json\.bad$/)],
        ['vm-1', 'vm-1/vm.json', 'vm.json.bad'],
      ]);
      for (const { reason } of disk.store.setAside()) expect(reason).toMatch(/^\P{Cc}{1,401}$/u);
      expect(disk.store.loadedCommands()).toEqual([commandRecord()]);
      expect(disk.store.loadedDrains()).toEqual([drainRecord()]);
      expect(await disk.store.events('vm-1', { limit: 9 })).toHaveLength(2);
      await disk.store.saveVm(vmRecord());
    });

    it('a workflow job and a document', async () => {
      await open();
      await disk.store.saveWorkflowJob(workflowJob());
      await disk.store.saveDocument('cursor', { at: 1 });
      await disk.store.close();
      await writeFile(path.join(disk.directory, '.workflow-jobs', '7-1.json'), '{"id": "7", "run_');
      const other = JSON.stringify(toWorkflowJobRecordResource(workflowJob({ id: '8' })));
      await writeFile(path.join(disk.directory, '.workflow-jobs', '9-1.json'), other);
      await writeFile(path.join(disk.directory, '.documents', 'other.json'), '[]');
      await open();
      expect(listed().map(([vmId, file]) => [vmId, file])).toEqual([
        [undefined, '.documents/other.json'],
        [undefined, '.workflow-jobs/7-1.json'],
        [undefined, '.workflow-jobs/9-1.json'],
      ]);
      expect(disk.store.loadedWorkflowJobs()).toEqual([workflowJob()]);
      expect(disk.store.document('cursor')).toEqual({ at: 1 });
      expect(disk.store.document('other')).toBeUndefined();
    });

    it('a folder, a link and a pipe of the name of a record', async () => {
      await mkdir(inVm('commands', 'cmd-2.json', 'inside'), { recursive: true });
      await symlink('/etc/hostname', inVm('commands', 'cmd-3.json'));
      spawnSync('mkfifo', [inVm('commands', 'cmd-4.json'), inVm('event-x-20991231T000000.000000Z.json')]);
      await rm(inVm('vm.json'));
      await mkdir(inVm('vm.json'));
      await open();
      expect(listed().map(([, file]) => file)).toEqual([
        'vm-1/commands/cmd-2.json',
        'vm-1/commands/cmd-3.json',
        'vm-1/commands/cmd-4.json',
        'vm-1/event-x-20991231T000000.000000Z.json',
        'vm-1/vm.json',
      ]);
      expect(disk.store.loadedCommands()).toEqual([commandRecord()]);
      await disk.store.saveVm(vmRecord());
      await disk.store.close();
      await open();
      expect(disk.store.loadedVms()).toEqual([vmRecord()]);
      expect(disk.store.setAside()).toEqual([]);
    });

    it('one that the system does not let us read (a right is missing, a sector is bad)', async () => {
      await disk.openOn({
        readText: (file) =>
          file.endsWith('cmd-1.json')
            ? Promise.reject(Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' }))
            : nodeFiles.readText(file),
      });
      expect(disk.store.setAside()).toEqual([
        {
          vmId: 'vm-1',
          file: inVm('commands', 'cmd-1.json'),
          setAsideAs: inVm('commands', 'cmd-1.json.bad'),
          reason: 'EACCES: permission denied',
        },
      ]);
      expect(disk.store.loadedVms()).toHaveLength(1);
    });

    it('one that cannot even be renamed stays, and is left out', async () => {
      await writeFile(inVm('vm.json'), '');
      await disk.openOn({ rename: () => Promise.reject(new Error('EROFS: read-only')) });
      expect(disk.store.setAside()).toMatchObject([
        { setAsideAs: inVm('vm.json'), reason: 'it is empty; it stays where it is (EROFS: read-only)' },
      ]);
      expect(disk.store.loadedVms()).toEqual([]);
    });

    it('again and again: each is kept', async () => {
      for (const content of ['one', 'two', 'three']) {
        await writeFile(inVm('vm.json'), content);
        await open();
        await disk.store.close();
      }
      expect(await readFile(inVm('vm.json.bad'), 'utf8')).toBe('one');
      expect(await readFile(inVm('vm.json.3.bad'), 'utf8')).toBe('three');
    });

    it('an event or a heartbeat that is torn later, when it is read', async () => {
      await open();
      const history = (await readdir(inVm())).filter((name) => name.startsWith('grpc-'));
      for (const name of history) await writeFile(inVm(name), '{');
      expect(await disk.store.events('vm-1', { limit: 9 })).toHaveLength(1);
      expect(await disk.store.heartbeats('vm-1', 9)).toEqual([]);
      expect(listed().map(([vmId, file]) => [vmId, file])).toEqual(
        history.map((name) => ['vm-1', `vm-1/${name}`]).sort(),
      );
      expect(await disk.store.events('vm-1', { limit: 9 })).toHaveLength(1);
      expect(disk.store.setAside()).toHaveLength(history.length);
    });

    it('the record of a VM: its commands and events are still there (I1)', async () => {
      await writeFile(inVm('vm.json'), '');
      await open();
      expect(disk.store.loadedVms()).toEqual([]);
      expect(await readdir(inVm())).toContain('vm.json.bad');
      expect(setAside()).toHaveLength(1);
      expect(disk.store.loadedCommands().map((command) => command.id)).toEqual(['cmd-1']);
      expect(await disk.store.events('vm-1', { limit: 9 })).toHaveLength(2);
    });

    it('the newest event: the position is the one before it', async () => {
      await writeFile(inVm('grpc-event-x-20991231T000000.000000Z.json'), '{"');
      await open();
      expect(disk.store.eventPosition('vm-1')).toMatchObject({ bootId: 'boot-1', sequence: 1 });
      expect(await disk.store.events('vm-1', { limit: 9 })).toHaveLength(2);
    });

    it('records that lie in the folder of another VM are not loaded', async () => {
      await writeFile(inVm('vm.json'), (await readFile(inVm('vm.json'), 'utf8')).replace('"vm-1"', '"vm-2"'));
      await open();
      expect(disk.store.loadedVms()).toEqual([]);
      expect(disk.store.setAside()[0]?.reason).toBe('it is of VM vm-2, and does not belong here');
    });

    it('an event that lies in the folder of another VM, or under another time, is not shown there', async () => {
      const name = (await readdir(inVm())).find((file) => file.startsWith('event-vm_started')) ?? '';
      await writeFile(
        inVm('event-vm_started-20250101T000000.000000Z.json'),
        await readFile(inVm(name), 'utf8'),
      );
      await open();
      expect(await disk.store.events('vm-1', { limit: 9 })).toHaveLength(2);
      expect(listed()).toMatchObject([{ 1: 'vm-1/event-vm_started-20250101T000000.000000Z.json' }]);
    });

    it('files and folders that are not ours stay where they are', async () => {
      await writeFile(path.join(disk.directory, 'README'), 'mine');
      await writeFile(inVm('event-note.json'), 'mine');
      await open();
      expect(await readFile(inVm('event-note.json'), 'utf8')).toBe('mine');
      expect(disk.store.setAside()).toEqual([]);
      expect(disk.store.loadedVms()).toHaveLength(1);
    });
  });

  describe('a folder that cannot be read', () => {
    beforeEach(fill);
    const refuse =
      <T>(denied: string, operation: (at: string) => Promise<T>, code = 'EACCES') =>
      (at: string): Promise<T> =>
        at === path.join(disk.directory, denied)
          ? Promise.reject(Object.assign(new Error(`${code}: scandir`), { code }))
          : operation(at);

    it.each(['', '.wal', '.drains', '.workflow-jobs', '.documents', 'vm-1', 'vm-1/commands'])(
      '(%j) stops the opening with its path and the remedy: accepted commands may be in it (I1)',
      async (denied) => {
        const opened = disk.openOn({ list: refuse(denied, nodeFiles.list) });
        await expect(opened).rejects.toMatchObject({
          code: 'data-directory-unreadable',
          message: `${path.join(disk.directory, denied)} in the data directory cannot be read (EACCES: scandir): give this user the right to read and write it and what is in it, or move it out of the data directory`,
        });
        await open();
        expect(disk.store.loadedCommands()).toHaveLength(1);
      },
    );

    it('and a file that cannot be opened because too many are, stop the opening: the file may be good', async () => {
      const readText = refuse('vm-1/commands/cmd-1.json', nodeFiles.readText, 'EMFILE');
      await expect(disk.openOn({ readText })).rejects.toMatchObject({ code: 'data-directory-unreadable' });
      await open();
      expect(disk.store.setAside()).toEqual([]);
      expect(disk.store.loadedCommands()).toHaveLength(1);
    });
  });
});
