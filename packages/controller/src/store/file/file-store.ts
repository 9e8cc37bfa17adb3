/**
 * The default store: JSON files, one folder per VM.
 *
 *   {data_dir}/.controller.lock
 *   {data_dir}/.wal/{number}.log                    what was written last; see write-ahead-log.ts
 *   {data_dir}/.drains/{drain_id}.json
 *   {data_dir}/.workflow-jobs/{job_id}-{run_attempt}.json
 *   {data_dir}/.documents/{name}.json
 *   {data_dir}/{vm_id}/vm.json
 *   {data_dir}/{vm_id}/commands/{command_id}.json
 *   {data_dir}/{vm_id}/[grpc-|controller-]event-{type}-{stamp}.json, grpc-heartbeat-{stamp}.json
 *
 * Upholds I1 and I4 (a write resolves when it survives a power cut), I6 (records move along their tables only) and I12
 * (histories are kept within their retention).
 */
import path from 'node:path';
import type { Clock } from '@mig/common/clock';
import { neverBusy, type IsBusy } from '@mig/common/process-load';
import { lockDirectory } from '@mig/common/directory-lock';
import type { Logger } from '@mig/common/logger';
import { toCommandRecordResource } from '@mig/common/api/command-resource';
import { toDrainRecordResource } from '@mig/common/api/drain-resource';
import { toVmRecordResource } from '@mig/common/api/vm-resource';
import { toWorkflowJobRecordResource } from '@mig/common/api/workflow-job-resource';
import { assertId } from '@mig/common/domain/ids';
import { workflowJobKey, type WorkflowJobKey } from '@mig/common/domain/workflow-job';
import type { Store } from '../store.js';
import { createMoves } from '../moves.js';
import { openDurableFiles } from './durable-files.js';
import type { FileOperations } from './file-operations.js';
import { createHistories } from './histories.js';
import type { Retention } from './history.js';
import { DOCUMENT_FOLDER, DRAIN_FOLDER, loadRecords, WORKFLOW_JOB_FOLDER } from './load-records.js';
import { nodeFiles } from './node-files.js';
import { prefixOf } from './path-prefix.js';
import { createRecordReader } from './read-records.js';
import { createSetAside } from './set-aside.js';
import { createWriteGuard } from './write-guard.js';

export interface FileStoreOptions {
  readonly directory: string;
  readonly retention: Retention;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: never. While it is, more is written at once, and files that are in the log come later. */
  readonly isBusy?: IsBusy | undefined;
  /** A segment of the log is ended at this size; default 16 MiB. */
  readonly logSegmentBytes?: number | undefined;
}

/** No id begins with a dot, so no VM's folder is ever called so. */
const LOCK = {
  file: '.controller.lock',
  what: 'data directory',
  program: 'controller',
  remedy: 'stop that one, or choose another with --data-dir',
};

/**
 * Opens the folder, creating it if need be, and reads everything back.
 * @throws DirectoryInUseError, DataDirectoryUnreadableError, or the file system's error if the folder cannot be used
 */
export async function openFileStore(options: FileStoreOptions): Promise<Store> {
  await nodeFiles.makeDirectory(options.directory);
  // A new folder's name too must survive a power cut. The one above it may be somebody else's.
  await nodeFiles.syncDirectory(path.dirname(path.resolve(options.directory))).catch(() => undefined);
  const unlock = lockDirectory(options.directory, LOCK);
  try {
    return await openStoreOn(nodeFiles, options, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

/**
 * Opens a folder that exists, and is nobody else's, on any file operations.
 *
 * @param release called when the store is closed
 */
export async function openStoreOn(
  files: FileOperations,
  options: FileStoreOptions,
  release: () => void,
): Promise<Store> {
  const { directory, retention, clock, logger, isBusy = neverBusy } = options;
  const setAside = createSetAside(files, logger);
  const durable = await openDurableFiles(
    { files, clock, logger, setAside, isBusy },
    { root: directory, segmentBytes: options.logSegmentBytes },
  );
  const reader = createRecordReader(files, setAside);
  const histories = createHistories({ files, durable, reader, clock, isBusy, logger }, directory, retention);
  const loaded = await loadRecords({ files, reader, histories, logger }, directory).catch(
    async (error: unknown) => {
      await histories.close();
      await durable.close();
      throw error;
    },
  );
  const moves = createMoves(loaded);
  const guard = createWriteGuard({ probe: durable.probe, clock, logger });
  let closing: Promise<void> | undefined;

  const below = prefixOf(directory);
  const commandFile = (vmId: string, commandId: string): string =>
    `${below}${vmId}${path.sep}commands${path.sep}${commandId}.json`;
  const drainFile = (drainId: string): string => path.join(directory, DRAIN_FOLDER, `${drainId}.json`);
  const workflowJobFile = (job: WorkflowJobKey): string =>
    path.join(directory, WORKFLOW_JOB_FOLDER, `${workflowJobKey(job)}.json`);

  function save(what: () => string, file: string, resource: () => unknown, undo?: () => void): Promise<void> {
    const content = () => ({ json: JSON.stringify(resource()) });
    return guard.run(what, () => durable.record(file, content, 'later'), undo);
  }

  async function close(): Promise<void> {
    guard.close();
    await histories.close();
    await durable.close();
    release();
  }

  return {
    loadedVms: () => loaded.vms,
    loadedCommands: () => loaded.commands,
    loadedDrains: () => loaded.drains,
    loadedWorkflowJobs: () => loaded.workflowJobs,
    setAside: setAside.list,

    async saveVm(record) {
      moves.vm(record); // I6
      histories.begin(record.vmId);
      const file = `${below}${record.vmId}${path.sep}vm.json`;
      const resource = () => toVmRecordResource(record);
      await save(() => `the record of VM ${record.vmId}`, file, resource);
    },

    async deleteVm(vmId) {
      const takeBack = moves.forgetVm(vmId);
      const what = () => `the removal of VM ${vmId}`;
      const removal = () => durable.removeTree(path.join(directory, vmId));
      await histories.remove(vmId, () => guard.run(what, removal, takeBack));
    },

    async saveCommand(record) {
      const forget = moves.command(record); // I6
      histories.begin(record.vmId);
      const resource = () => toCommandRecordResource(record);
      await save(() => `command ${record.id}`, commandFile(record.vmId, record.id), resource, forget);
    },

    async deleteCommand({ vmId, id }) {
      moves.forgetCommand(vmId, id);
      const what = () => `the removal of command ${id}`;
      await guard.run(what, () => durable.remove(commandFile(vmId, id)));
    },

    async saveDrain(record) {
      const forget = moves.drain(record); // I6
      const resource = () => toDrainRecordResource(record);
      await save(() => `drain ${record.id}`, drainFile(record.id), resource, forget);
    },

    async deleteDrain(drainId) {
      moves.forgetDrain(drainId);
      const what = () => `the removal of drain ${drainId}`;
      await guard.run(what, () => durable.remove(drainFile(drainId)));
    },

    async saveWorkflowJob(job) {
      const takeBack = moves.workflowJob(job); // I6
      const resource = () => toWorkflowJobRecordResource(job);
      await save(() => `workflow job ${workflowJobKey(job)}`, workflowJobFile(job), resource, takeBack);
    },

    async deleteWorkflowJob(job) {
      moves.forgetWorkflowJob(job);
      const what = () => `the removal of workflow job ${workflowJobKey(job)}`;
      await guard.run(what, () => durable.remove(workflowJobFile(job)));
    },

    document: (name) => loaded.documents.get(name),

    async saveDocument(name, value) {
      assertId('the name of a document', name);
      // As it is now, whatever its owner does with it.
      const document = JSON.parse(JSON.stringify({ value })) as { value: unknown };
      const file = path.join(directory, DOCUMENT_FOLDER, `${name}.json`);
      await save(
        () => `document ${name}`,
        file,
        () => document,
      );
      loaded.documents.set(name, document.value);
    },

    appendEvent: (event, via) =>
      guard.run(
        () => `an event of VM ${event.vmId}`,
        () => histories.append(event, via),
      ),
    events: histories.events,
    eventPosition: histories.eventPosition,
    keepHeartbeat: histories.keepHeartbeat,
    heartbeats: histories.heartbeats,

    problem: guard.problem,
    close: () => (closing ??= close()),
  };
}
