/**
 * The default store: JSON files, one folder per VM.
 *
 *   {data_dir}/.controller.lock
 *   {data_dir}/{vm_id}/vm.json
 *   {data_dir}/{vm_id}/commands/{command_id}.json
 *   {data_dir}/{vm_id}/[grpc-]event-{type}-{stamp}.json, grpc-heartbeat-{stamp}.json
 *
 * Upholds I1 and I4 (a write resolves when it survives a power cut), I6 (records move along their tables only) and I12
 * (histories are kept within their retention; pruning runs beside the streams, one VM at a time).
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import pLimit from 'p-limit';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import {
  commandRecordSchema,
  fromCommandRecordResource,
  toCommandRecordResource,
} from '@mig/common/api/command-resource';
import {
  eventSchema,
  fromEventResource,
  heartbeatSchema,
  toEventResource,
  toHeartbeatResource,
  type HeartbeatResource,
} from '@mig/common/api/history-resource';
import { fromVmRecordResource, toVmRecordResource, vmRecordSchema } from '@mig/common/api/vm-resource';
import { assertCommandTransition, type CommandState } from '@mig/common/domain/command-state';
import type { CommandRecord } from '@mig/common/domain/command';
import { dataSize, type StoredEvent } from '@mig/common/domain/event';
import { assertVmTransition } from '@mig/common/domain/vm-state';
import { isSameLife, type VmIdentity, type VmRecord, type VmReport } from '@mig/common/domain/vm';
import { StoreUnavailableError, type EventPosition, type Store } from '../store.js';
import { lockDirectory } from './directory-lock.js';
import { createFileWriter } from './file-writer.js';
import {
  eventFileName,
  heartbeatFileName,
  listHistory,
  selectExpired,
  type HistoryFile,
  type Retention,
} from './history.js';
import { listRecordFiles, listVmDirectories, readRecord } from './read-records.js';
import { createStamper } from './stamp.js';

export interface FileStoreOptions {
  readonly directory: string;
  readonly retention: Retention;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Of one VM's heartbeats within this time, the newest is kept: a VM that sends many costs no more than one per second. */
const HEARTBEAT_WINDOW_MS = 1_000;
/** Every history is looked through for files that grew too old this often. */
const RETENTION_SWEEP_MS = 60 * 60_000;
/** A page of events ends early when their data is this long: 8 Mi characters. */
const MAX_PAGE_CHARACTERS = 8 * 1024 * 1024;
/** Files that are read at a time. */
const PARALLEL_READS = 16;

/** What is remembered of a VM's folder, so that it need not be listed for every write. */
interface Folder {
  readonly path: string;
  readonly nextStamp: () => string;
  position: EventPosition;
  eventCount: number;
  heartbeatCount: number;
  heartbeatTimer: unknown;
  pendingHeartbeat: { readonly vm: VmIdentity; readonly report: VmReport } | undefined;
  pruning: boolean;
}

/**
 * Opens the folder, creating it if need be, and reads everything back.
 * @throws DataDirectoryInUseError, or the file system's error if the folder cannot be used
 */
export async function openFileStore(options: FileStoreOptions): Promise<Store> {
  const { directory, retention, clock, logger } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const unlock = lockDirectory(directory);
  const writer = createFileWriter();
  const folders = new Map<string, Folder>();
  /** Folders that exist on disk, or are being made. */
  const made = new Map<string, Promise<Folder>>();
  const vms = new Map<string, VmRecord>();
  const commandStates = new Map<string, CommandState>();
  const pruneQueue = pLimit(1);
  let closed = false;
  /** Why the last write failed; undefined after one that did not. */
  let problem: string | undefined;
  let sweepTimer: unknown;

  async function openFolder(vmId: string): Promise<Folder> {
    const known = folders.get(vmId);
    if (known !== undefined) return known;
    const folderPath = path.join(directory, vmId);
    const files = await listHistory(folderPath);
    const events = files.filter((file) => file.kind === 'event');
    const folder: Folder = {
      path: folderPath,
      nextStamp: createStamper(clock, files.at(-1)?.stamp),
      position: await findPosition(folderPath, events),
      eventCount: events.length,
      heartbeatCount: files.length - events.length,
      heartbeatTimer: undefined,
      pendingHeartbeat: undefined,
      pruning: false,
    };
    // Two callers may have listed the folder at once; the first to finish wins.
    const winner = folders.get(vmId) ?? folder;
    folders.set(vmId, winner);
    return winner;
  }

  /** Events are stored in their order, so the newest counted one has the highest sequence of its boot (I4). */
  async function findPosition(
    folderPath: string,
    events: readonly { name: string; stamp: string }[],
  ): Promise<EventPosition> {
    for (const file of [...events].reverse()) {
      const event = await readRecord(path.join(folderPath, file.name), eventSchema, logger);
      if (event !== undefined && event.sequence > 0) {
        return { lastEventId: events.at(-1)?.stamp, bootId: event.boot_id, sequence: event.sequence };
      }
    }
    return { lastEventId: events.at(-1)?.stamp, bootId: '', sequence: 0 };
  }

  async function makeFolder(vmId: string): Promise<Folder> {
    const folder = await openFolder(vmId);
    await mkdir(path.join(folder.path, 'commands'), { recursive: true, mode: 0o700 });
    return folder;
  }

  /** One promise for all who wait, so that what they write goes out in the order of their calls. */
  function ensureFolder(vmId: string): Promise<Folder> {
    const known = made.get(vmId);
    if (known !== undefined) return known;
    const folder = makeFolder(vmId);
    made.set(vmId, folder);
    folder.catch(() => {
      if (made.get(vmId) === folder) made.delete(vmId);
    });
    return folder;
  }

  async function guarded<T>(what: string, operation: () => Promise<T>): Promise<T> {
    try {
      const result = await operation();
      problem = undefined;
      return result;
    } catch (error) {
      const unavailable = new StoreUnavailableError(what, error);
      problem = unavailable.message;
      throw unavailable;
    }
  }

  /** Reads events in the order of the files, until the page is full. */
  async function readPage(folder: Folder, files: readonly HistoryFile[]): Promise<StoredEvent[]> {
    const page: StoredEvent[] = [];
    let size = 0;
    for (let start = 0; start < files.length && size < MAX_PAGE_CHARACTERS; start += PARALLEL_READS) {
      const chunk = await Promise.all(
        files
          .slice(start, start + PARALLEL_READS)
          .map((file) => readRecord(path.join(folder.path, file.name), eventSchema, logger)),
      );
      for (const event of chunk) {
        if (event === undefined) continue;
        page.push(fromEventResource(event));
        size += dataSize(event.data);
      }
    }
    return page;
  }

  /**
   * Runs a write; a folder that vanished under us (somebody emptied the data directory) is made anew, once.
   * @throws StoreUnavailableError
   */
  async function guardedIn<T>(what: string, vmId: string, operation: () => Promise<T>): Promise<T> {
    return guarded(what, async () => {
      try {
        return await operation();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        made.delete(vmId);
        return operation();
      }
    });
  }

  const commandFile = (record: CommandRecord): string =>
    path.join(directory, record.vmId, 'commands', `${record.id}.json`);

  function flushHeartbeat(folder: Folder): void {
    const pending = folder.pendingHeartbeat;
    folder.pendingHeartbeat = undefined;
    folder.heartbeatTimer = undefined;
    if (pending === undefined) return;
    const stamp = folder.nextStamp();
    const content = toHeartbeatResource(stamp, pending.vm, pending.report, clock.now());
    folder.heartbeatCount += 1;
    writer
      .write(path.join(folder.path, heartbeatFileName(stamp)), toJson(content), false)
      .catch((error: unknown) =>
        logger.warn({ vmId: pending.vm.vmId, reason: errorMessage(error) }, 'a heartbeat could not be kept'),
      );
    pruneIfLarge(folder);
  }

  /** Counts are exact but for what was pruned by age; a tenth over the limit is allowed so that pruning is rare. */
  function pruneIfLarge(folder: Folder): void {
    const over =
      folder.eventCount > retention.maxEvents * 1.1 + 10 ||
      folder.heartbeatCount > retention.maxHeartbeats * 1.1 + 10;
    if (over) void prune(folder);
  }

  async function prune(folder: Folder): Promise<void> {
    if (folder.pruning || closed) return;
    folder.pruning = true;
    try {
      await pruneQueue(async () => {
        const files = await listHistory(folder.path);
        const expired = selectExpired(files, retention, clock.now());
        for (const file of expired) await rm(path.join(folder.path, file.name), { force: true });
        const removedEvents = expired.filter((file) => file.kind === 'event').length;
        folder.eventCount -= removedEvents;
        folder.heartbeatCount -= expired.length - removedEvents;
      });
    } catch (error) {
      logger.warn({ folder: folder.path, reason: errorMessage(error) }, 'old files could not be removed');
    } finally {
      folder.pruning = false;
    }
  }

  function scheduleSweep(): void {
    sweepTimer = clock.setTimer(() => {
      void Promise.all([...folders.values()].map(prune)).then(() => {
        if (!closed) scheduleSweep();
      });
    }, RETENTION_SWEEP_MS);
  }

  const loadedCommands: CommandRecord[] = [];
  try {
    const readLimit = pLimit(PARALLEL_READS);
    await readLimit.map(await listVmDirectories(directory), async (vmId) => {
      const folder = await openFolder(vmId);
      await listRecordFiles(folder.path);
      const vm = await readRecord(path.join(folder.path, 'vm.json'), vmRecordSchema, logger);
      if (vm?.vm_id === vmId) vms.set(vmId, fromVmRecordResource(vm));
      // Its commands were accepted (I1), whether or not its record can be read.
      for (const file of await listRecordFiles(path.join(folder.path, 'commands'))) {
        const command = await readRecord(file, commandRecordSchema, logger);
        if (command === undefined || command.vm_id !== vmId) continue;
        loadedCommands.push(fromCommandRecordResource(command));
        commandStates.set(command.id, command.state);
      }
    });
  } catch (error) {
    unlock();
    throw error;
  }
  const loadedVms = [...vms.values()];
  scheduleSweep();

  return {
    loadedVms: () => loadedVms,
    loadedCommands: () => loadedCommands,

    async saveVm(record) {
      const before = vms.get(record.vmId);
      // I6. A new life begins anew.
      if (before !== undefined && isSameLife(before, record)) {
        assertVmTransition(record.vmId, before.state, record.state);
      }
      vms.set(record.vmId, record);
      await guardedIn(`the record of VM ${record.vmId}`, record.vmId, async () => {
        const folder = await ensureFolder(record.vmId);
        await writer.write(path.join(folder.path, 'vm.json'), toJson(toVmRecordResource(record)), true);
      });
    },

    async deleteVm(vmId) {
      const folder = folders.get(vmId);
      if (folder?.heartbeatTimer !== undefined) clock.clearTimer(folder.heartbeatTimer);
      folders.delete(vmId);
      made.delete(vmId);
      vms.delete(vmId);
      await writer.idle();
      await rm(path.join(directory, vmId), { recursive: true, force: true });
    },

    async saveCommand(record) {
      const before = commandStates.get(record.id);
      if (before !== undefined) assertCommandTransition(record.id, before, record.state); // I6
      commandStates.set(record.id, record.state);
      await guardedIn(`command ${record.id}`, record.vmId, async () => {
        await ensureFolder(record.vmId);
        await writer.write(commandFile(record), toJson(toCommandRecordResource(record)), true);
      });
    },

    async deleteCommand(record) {
      commandStates.delete(record.id);
      await writer.remove(commandFile(record));
    },

    async appendEvent(event, via) {
      return guardedIn(`an event of VM ${event.vmId}`, event.vmId, async () => {
        const folder = await ensureFolder(event.vmId);
        const stored: StoredEvent = { ...event, id: folder.nextStamp(), receivedAt: clock.now(), via };
        const file = path.join(folder.path, eventFileName(via, event.type, stored.id));
        await writer.write(file, toJson(toEventResource(stored)), true);
        folder.position = {
          lastEventId: stored.id,
          ...(event.sequence > 0
            ? { bootId: event.bootId, sequence: event.sequence }
            : { bootId: folder.position.bootId, sequence: folder.position.sequence }),
        };
        folder.eventCount += 1;
        pruneIfLarge(folder);
        return stored;
      });
    },

    async events(vmId, { after, limit }) {
      const folder = folders.get(vmId);
      if (folder === undefined) return [];
      const { lastEventId } = folder.position;
      if (after !== undefined && (lastEventId === undefined || lastEventId <= after)) return [];
      const files = (await listHistory(folder.path)).filter((file) => file.kind === 'event');
      return after === undefined
        ? (await readPage(folder, files.slice(-limit).reverse())).reverse()
        : readPage(folder, files.filter((file) => file.stamp > after).slice(0, limit));
    },

    eventPosition: (vmId) =>
      folders.get(vmId)?.position ?? { lastEventId: undefined, bootId: '', sequence: 0 },

    keepHeartbeat(vm, report) {
      const folder = folders.get(vm.vmId);
      if (folder === undefined || closed) return;
      folder.pendingHeartbeat = { vm, report };
      folder.heartbeatTimer ??= clock.setTimer(() => flushHeartbeat(folder), HEARTBEAT_WINDOW_MS);
    },

    async heartbeats(vmId, limit) {
      const folder = folders.get(vmId);
      if (folder === undefined) return [];
      const files = (await listHistory(folder.path))
        .filter((file) => file.kind === 'heartbeat')
        .slice(-limit);
      const heartbeats = await Promise.all(
        files.map((file) =>
          readRecord<HeartbeatResource>(path.join(folder.path, file.name), heartbeatSchema, logger),
        ),
      );
      return heartbeats.filter((heartbeat) => heartbeat !== undefined);
    },

    problem: () => problem,

    async close() {
      if (closed) return;
      clock.clearTimer(sweepTimer);
      for (const folder of folders.values()) {
        if (folder.heartbeatTimer !== undefined) clock.clearTimer(folder.heartbeatTimer);
        flushHeartbeat(folder);
      }
      closed = true;
      await pruneQueue(() => Promise.resolve());
      await writer.idle();
      unlock();
    },
  };
}

const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
