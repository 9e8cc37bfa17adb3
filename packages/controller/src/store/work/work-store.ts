/**
 * Where tasks and jobs are kept: JSON files with a write-ahead log of their own, beside the VMs.
 *
 *   {data_dir}/.work/.wal/…
 *   {data_dir}/.work/tasks/{task_id}.json
 *   {data_dir}/.work/jobs/{job_id}.json
 *
 * No id begins with a dot, so the store of the VMs passes the folder by. The lock of the data directory holds for it too.
 * Upholds I1: a record is durable when its save resolves.
 */
import path from 'node:path';
import type { Clock } from '@mig/common/clock';
import type { IsBusy } from '@mig/common/process-load';
import type { Logger } from '@mig/common/logger';
import type * as z from 'zod';
import { openDurableFiles } from '../file/durable-files.js';
import { nodeFiles } from '../file/node-files.js';
import { createRecordReader } from '../file/read-records.js';
import { createSetAside } from '../file/set-aside.js';
import { listDirectory } from '../file/unreadable.js';
import { createWriteGuard } from '../file/write-guard.js';

/** Records of one kind. */
export interface RecordStore<Record> {
  /** Every record, as of opening. */
  loaded(): readonly Record[];
  /** Durable when it resolves; saves of one record are made in their order. @throws StoreUnavailableError */
  save(record: Record): Promise<void>;
  /** @throws StoreUnavailableError */
  remove(id: string): Promise<void>;
}

export interface RecordKind<
  Record extends { readonly id: string },
  Resource extends { readonly id: string },
> {
  /** The folder, and what a record is called in errors: `task`. */
  readonly name: string;
  readonly schema: z.ZodType<Resource>;
  readonly toResource: (record: Record) => Resource;
  readonly fromResource: (resource: Resource) => Record;
}

export interface WorkStore {
  /** Opens one kind; once for each. */
  open<Record extends { readonly id: string }, Resource extends { readonly id: string }>(
    kind: RecordKind<Record, Resource>,
  ): Promise<RecordStore<Record>>;
  /** The folder of the output. */
  readonly outputFolder: string;
  /** Why nothing can be stored now, by the last write. */
  problem(): string | undefined;
  /** Resolves when everything that was handed over is written. */
  close(): Promise<void>;
}

const FOLDER = '.work';

/** @param dataDirectory exists, and is locked by this process */
export async function openWorkStore(
  dataDirectory: string,
  { clock, logger, isBusy }: { readonly clock: Clock; readonly logger: Logger; readonly isBusy: IsBusy },
): Promise<WorkStore> {
  const root = path.join(dataDirectory, FOLDER);
  const files = nodeFiles;
  await files.makeDirectory(root);
  await files.syncDirectory(dataDirectory).catch(() => undefined);
  const setAside = createSetAside(files, logger);
  const durable = await openDurableFiles({ files, clock, logger, setAside, isBusy }, { root });
  const reader = createRecordReader(files, setAside);
  const guard = createWriteGuard({ probe: durable.probe, clock, logger });
  return {
    outputFolder: path.join(root, 'output'),

    async open({ name, schema, toResource, fromResource }) {
      const folder = path.join(root, `${name}s`);
      const fileOf = (id: string): string => path.join(folder, `${id}.json`);
      const entries = await reader.withoutLeftovers(folder, await listDirectory(files, folder));
      const loaded: ReturnType<typeof fromResource>[] = [];
      for (const entry of entries) {
        if (!entry.name.endsWith('.json') || entry.name.startsWith('.')) continue;
        const file = { path: path.join(folder, entry.name), kind: entry.kind, vmId: undefined };
        const resource = await reader.read(file, schema, (record) =>
          `${record.id}.json` === entry.name
            ? undefined
            : `it is ${name} ${record.id}, and does not belong here`,
        );
        if (resource !== undefined) loaded.push(fromResource(resource));
      }
      return {
        loaded: () => loaded,
        save: (record) =>
          guard.run(
            () => `${name} ${record.id}`,
            () =>
              durable.record(
                fileOf(record.id),
                () => ({ json: JSON.stringify(toResource(record)) }),
                'later',
              ),
          ),
        remove: (id) =>
          guard.run(
            () => `the removal of ${name} ${id}`,
            () => durable.remove(fileOf(id)),
          ),
      };
    },

    problem: guard.problem,
    async close() {
      guard.close();
      await durable.close();
    },
  };
}
