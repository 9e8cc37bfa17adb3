/** Reads every record back, at opening. */
import path from 'node:path';
import pLimit from 'p-limit';
import type { Logger } from '@mig/common/logger';
import {
  commandRecordSchema,
  fromCommandRecordResource,
  type CommandRecordResource,
} from '@mig/common/api/command-resource';
import { drainRecordSchema, fromDrainRecordResource } from '@mig/common/api/drain-resource';
import { fromVmRecordResource, vmRecordSchema } from '@mig/common/api/vm-resource';
import {
  fromWorkflowJobRecordResource,
  workflowJobRecordSchema,
  type WorkflowJobRecordResource,
} from '@mig/common/api/workflow-job-resource';
import type { CommandRecord } from '@mig/common/domain/command';
import type { DrainRecord } from '@mig/common/domain/drain';
import { isValidId } from '@mig/common/domain/ids';
import { phaseOf } from '@mig/common/domain/vm-state';
import type { VmRecord } from '@mig/common/domain/vm';
import type { WorkflowJob } from '@mig/common/domain/workflow-job';
import * as z from 'zod';
import type { DirectoryEntry, FileOperations } from './file-operations.js';
import { forEach } from './for-each.js';
import type { Histories } from './histories.js';
import type { RecordFile, RecordReader } from './read-records.js';
import { listDirectory } from './unreadable.js';

/** The folder of the drains in the data directory. */
export const DRAIN_FOLDER = '.drains';
export const WORKFLOW_JOB_FOLDER = '.workflow-jobs';
export const DOCUMENT_FOLDER = '.documents';
/** VMs that are read at a time. */
const PARALLEL_VMS = 16;
/** There may be 70,000 of them. */
const PARALLEL_WORKFLOW_JOBS = 32;

export interface LoadedRecords {
  readonly vms: readonly VmRecord[];
  readonly commands: readonly CommandRecord[];
  readonly drains: readonly DrainRecord[];
  readonly workflowJobs: readonly WorkflowJob[];
  /** By their names. */
  readonly documents: Map<string, unknown>;
}

export interface LoadDeps {
  readonly files: FileOperations;
  readonly reader: RecordReader;
  readonly histories: Pick<Histories, 'open'>;
  readonly logger: Logger;
}

/**
 * @param root the data directory
 * @throws DataDirectoryUnreadableError if a folder cannot be listed: what was accepted might be in it (I1)
 */
export async function loadRecords(deps: LoadDeps, root: string): Promise<LoadedRecords> {
  const { files, reader, histories, logger } = deps;
  const vms: VmRecord[] = [];
  const commands: CommandRecord[] = [];
  const drains: DrainRecord[] = [];
  const workflowJobs: WorkflowJob[] = [];
  const documents = new Map<string, unknown>();

  /** The `.json` files of a folder, after what a crash left behind is removed. */
  async function recordFiles(directory: string, vmId: string | undefined): Promise<RecordFile[]> {
    const entries = await reader.withoutLeftovers(directory, await listDirectory(files, directory));
    return entries
      .filter(({ name }) => name.endsWith('.json') && !name.startsWith('.'))
      .map(({ name, kind }) => ({ path: path.join(directory, name), kind, vmId }));
  }

  async function loadVm(vmId: string): Promise<void> {
    const directory = path.join(root, vmId);
    const entries = await reader.withoutLeftovers(directory, await listDirectory(files, directory));
    await histories.open(vmId, entries);
    await loadVmRecord(directory, vmId, entries);
    // Its commands were accepted (I1), whether or not its record can be read.
    for (const file of await recordFiles(path.join(directory, 'commands'), vmId)) {
      const command = await reader.read<CommandRecordResource>(file, commandRecordSchema, (record) =>
        record.vm_id === vmId && record.id === idOf(file)
          ? undefined
          : `it is command ${record.id} of VM ${record.vm_id}, and does not belong here`,
      );
      if (command !== undefined) commands.push(fromCommandRecordResource(command));
    }
  }

  async function loadVmRecord(
    directory: string,
    vmId: string,
    entries: readonly DirectoryEntry[],
  ): Promise<void> {
    const entry = entries.find(({ name }) => name === 'vm.json');
    if (entry === undefined) return;
    const file = { path: path.join(directory, entry.name), kind: entry.kind, vmId };
    const vm = await reader.read(file, vmRecordSchema, (record) => {
      if (record.vm_id !== vmId) return `it is of VM ${record.vm_id}, and does not belong here`;
      return phaseOf(record.state) === undefined ? `a VM has no state ${record.state}` : undefined;
    });
    if (vm !== undefined) vms.push(fromVmRecordResource(vm));
  }

  const entries = await listDirectory(files, root);
  const vmEntries = entries.filter(({ name }) => isValidId(name));
  for (const { name, kind } of vmEntries) {
    if (kind === 'other') logger.warn({ name }, 'a link in the data directory is not followed');
  }
  const vmDirectories = vmEntries.filter(({ kind }) => kind === 'directory');
  await forEach(pLimit(PARALLEL_VMS), vmDirectories, ({ name }) => loadVm(name));
  for (const file of await recordFiles(path.join(root, DRAIN_FOLDER), undefined)) {
    const drain = await reader.read(file, drainRecordSchema, (record) =>
      record.id === idOf(file) ? undefined : `it is drain ${record.id}, and does not belong here`,
    );
    if (drain !== undefined) drains.push(fromDrainRecordResource(drain));
  }
  const jobFiles = await recordFiles(path.join(root, WORKFLOW_JOB_FOLDER), undefined);
  await forEach(pLimit(PARALLEL_WORKFLOW_JOBS), jobFiles, async (file) => {
    const job = await reader.read<WorkflowJobRecordResource>(file, workflowJobRecordSchema, (record) =>
      `${record.id}-${record.run_attempt}` === idOf(file)
        ? undefined
        : `it is attempt ${record.run_attempt} of workflow job ${record.id}, and does not belong here`,
    );
    if (job !== undefined) workflowJobs.push(fromWorkflowJobRecordResource(job));
  });
  for (const file of await recordFiles(path.join(root, DOCUMENT_FOLDER), undefined)) {
    const document = await reader.read(file, documentSchema, () => undefined);
    if (document !== undefined) documents.set(idOf(file), document.value);
  }
  return { vms, commands, drains, workflowJobs, documents };
}

/** What a document's file holds. Whoever saved the value checks it when it is read. */
const documentSchema = z.object({ value: z.unknown() });

const idOf = (file: RecordFile): string => path.basename(file.path, '.json');
