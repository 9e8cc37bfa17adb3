/**
 * The histories of the VMs: events, which are promised (I4), and heartbeats, which are kept when it goes.
 *
 * Kept within their retention (I12); pruning runs beside the streams, one VM at a time.
 */
import path from 'node:path';
import pLimit from 'p-limit';
import type { Clock } from '@mig/common/clock';
import type { IsBusy } from '@mig/common/process-load';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import {
  fromEventResource,
  heartbeatSchema,
  toEventResource,
  toHeartbeatResource,
  type HeartbeatResource,
} from '@mig/common/api/history-resource';
import { dataSize, type StoredEvent, type VmEvent } from '@mig/common/domain/event';
import type { Store } from '../store.js';
import type { DurableFiles } from './durable-files.js';
import { errorCode, type DirectoryEntry, type FileOperations } from './file-operations.js';
import { eventFileName, heartbeatFileName, selectExpired, toHistory } from './history.js';
import type { HistoryEntry, HistoryFile, Retention } from './history.js';
import type { RecordReader } from './read-records.js';
import { createHeartbeatSamples } from './heartbeat-samples.js';
import { createStamper } from './stamp.js';
import { toJson } from './to-json.js';
import {
  emptyVmFolder,
  NO_POSITION,
  openVmFolder,
  placeFault,
  readEvent,
  type VmFolder,
} from './vm-folder.js';

/** Every history is looked through for files that grew too old this often. */
const RETENTION_SWEEP_MS = 60 * 60_000;
/** A page of events ends early when their data is this long: 8 Mi characters. */
const MAX_PAGE_CHARACTERS = 8 * 1024 * 1024;
/** Files that are read at a time. */
const PARALLEL_READS = 16;

export interface Histories extends Pick<Store, 'events' | 'eventPosition' | 'keepHeartbeat' | 'heartbeats'> {
  /** Takes in what is in a VM's folder, at opening. */
  open(vmId: string, entries: readonly DirectoryEntry[]): Promise<void>;
  /** Something is stored of the VM from now on. */
  begin(vmId: string): void;
  /** Nothing is stored of the VM from now on; if `removal` fails, all is as it was. */
  remove(vmId: string, removal: () => Promise<void>): Promise<void>;
  /** Durable when it resolves. Rejects with the system's error. */
  append(event: VmEvent, via: StoredEvent['via']): Promise<StoredEvent>;
  /** Writes what waits, and prunes no more. */
  close(): Promise<void>;
}

export interface HistoriesDeps {
  readonly files: FileOperations;
  readonly durable: Pick<DurableFiles, 'write' | 'record' | 'placeAll'>;
  readonly reader: RecordReader;
  readonly clock: Clock;
  readonly isBusy: IsBusy;
  readonly logger: Logger;
}

/** @param root the data directory */
export function createHistories(deps: HistoriesDeps, root: string, retention: Retention): Histories {
  const { files, durable, reader, clock, logger } = deps;
  const folders = new Map<string, VmFolder>();
  /** Folders that are being removed. */
  const going = new Map<string, VmFolder>();
  const pruneQueue = pLimit(1);
  /** Those that are under way because there was too much. */
  const prunes = new Set<Promise<void>>();
  let closed = false;
  /** The first heartbeat that cannot be kept is reported, not each: on a full disk there is one per VM and second. */
  let heartbeatsFail = false;
  let sweepTimer = scheduleSweep();

  function folderOf(vmId: string): VmFolder {
    const known = folders.get(vmId);
    if (known !== undefined) return known;
    // Every folder that was there at opening is known: this one is new, or is being removed, and that may fail.
    const nextStamp = going.get(vmId)?.nextStamp ?? createStamper(clock, undefined);
    const folder = emptyVmFolder(root, vmId, nextStamp);
    folders.set(vmId, folder);
    return folder;
  }

  async function listHistory(folder: VmFolder): Promise<HistoryEntry[]> {
    try {
      return toHistory(await files.list(folder.path));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /** Reads events in the order of the files, until the page is full. */
  async function readPage(folder: VmFolder, history: readonly HistoryEntry[]): Promise<StoredEvent[]> {
    const page: StoredEvent[] = [];
    let size = 0;
    for (let start = 0; start < history.length && size < MAX_PAGE_CHARACTERS; start += PARALLEL_READS) {
      const chunk = await Promise.all(
        history.slice(start, start + PARALLEL_READS).map((file) => readEvent(reader, folder, file)),
      );
      for (const event of chunk) {
        if (event === undefined) continue;
        page.push(fromEventResource(event));
        size += dataSize(event.data);
      }
    }
    return page;
  }

  const samples = createHeartbeatSamples(deps, (folder, vm, report) => {
    const stamp = folder.nextStamp();
    const content = toHeartbeatResource(stamp, vm, report, clock.now());
    folder.heartbeatCount += 1;
    durable
      .write(path.join(folder.path, heartbeatFileName(stamp)), () => toJson(content))
      .then(
        () => (heartbeatsFail = false),
        (error: unknown) => {
          if (!heartbeatsFail)
            logger.warn({ vmId: folder.vmId, reason: errorMessage(error) }, 'heartbeats cannot be kept');
          heartbeatsFail = true;
        },
      );
    pruneIfLarge(folder);
  });

  /** Counts are exact but for what was pruned by age; a tenth over the limit is allowed so that pruning is rare. */
  function pruneIfLarge(folder: VmFolder): void {
    const over =
      folder.eventCount > retention.maxEvents * 1.1 + 10 ||
      folder.heartbeatCount > retention.maxHeartbeats * 1.1 + 10;
    if (!over) return;
    const done = prune(folder).finally(() => prunes.delete(done));
    prunes.add(done);
  }

  async function prune(folder: VmFolder): Promise<void> {
    if (folder.pruning || closed) return;
    folder.pruning = true;
    let removed = 0;
    try {
      await pruneQueue(async () => {
        await durable.placeAll(folder.path);
        for (const file of selectExpired(await listHistory(folder), retention, clock.now())) {
          if (await removeOld(folder, file)) removed += 1;
        }
      });
    } catch (error) {
      logger.warn({ folder: folder.path, reason: errorMessage(error) }, 'old files could not be removed');
    } finally {
      folder.pruning = false;
    }
    // More may have come meanwhile.
    if (removed > 0) pruneIfLarge(folder);
  }

  async function removeOld(folder: VmFolder, file: HistoryFile): Promise<boolean> {
    try {
      // Without the log, which needs room: on a full disk this makes room. One that a replay brings back is pruned again.
      await files.remove(path.join(folder.path, file.name));
      if (file.kind === 'event') folder.eventCount -= 1;
      else folder.heartbeatCount -= 1;
      return true;
    } catch (error) {
      logger.warn(
        { vmId: folder.vmId, file: file.name, reason: errorMessage(error) },
        'an old file could not be removed',
      );
      return false;
    }
  }

  function scheduleSweep(): unknown {
    return clock.setTimer(() => {
      void Promise.all([...folders.values()].map(prune)).then(() => {
        if (!closed) sweepTimer = scheduleSweep();
      });
    }, RETENTION_SWEEP_MS);
  }

  return {
    async open(vmId, entries) {
      folders.set(vmId, await openVmFolder({ reader, clock }, root, vmId, entries));
    },

    begin: folderOf,

    async remove(vmId, removal) {
      const folder = folders.get(vmId);
      if (folder === undefined) return removal();
      samples.drop(folder);
      folders.delete(vmId);
      going.set(vmId, folder);
      try {
        await removal();
      } catch (error) {
        if (!folders.has(vmId)) folders.set(vmId, folder);
        throw error;
      } finally {
        going.delete(vmId);
      }
    },

    async append(event, via) {
      const folder = folderOf(event.vmId);
      const stored: StoredEvent = { ...event, id: folder.nextStamp(), receivedAt: clock.now(), via };
      const file = path.join(folder.path, eventFileName(via, event.type, stored.id));
      await durable.record(file, () => ({ json: JSON.stringify(toEventResource(stored)) }), 'now');
      const { bootId, sequence } = event.sequence > 0 ? event : folder.position;
      folder.position = { lastEventId: stored.id, bootId, sequence };
      folder.eventCount += 1;
      pruneIfLarge(folder);
      return stored;
    },

    async events(vmId, { after, limit }) {
      const folder = folders.get(vmId);
      if (folder === undefined) return [];
      const { lastEventId } = folder.position;
      if (after !== undefined && (lastEventId === undefined || lastEventId <= after)) return [];
      await durable.placeAll(folder.path);
      const history = (await listHistory(folder)).filter((file) => file.kind === 'event');
      return after === undefined
        ? (await readPage(folder, history.slice(-limit).reverse())).reverse()
        : readPage(folder, history.filter((file) => file.stamp > after).slice(0, limit));
    },

    eventPosition: (vmId) => folders.get(vmId)?.position ?? NO_POSITION,

    keepHeartbeat(vm, report) {
      const folder = folders.get(vm.vmId);
      if (folder !== undefined && !closed) samples.take(folder, vm, report);
    },

    async heartbeats(vmId, limit) {
      const folder = folders.get(vmId);
      if (folder === undefined) return [];
      const kept = (await listHistory(folder)).filter((file) => file.kind === 'heartbeat').slice(-limit);
      const heartbeats = await Promise.all(
        kept.map((file) =>
          reader.read<HeartbeatResource>(
            { path: path.join(folder.path, file.name), kind: file.entry, vmId },
            heartbeatSchema,
            (heartbeat) => placeFault(heartbeat, folder, file),
          ),
        ),
      );
      return heartbeats.filter((heartbeat) => heartbeat !== undefined);
    },

    async close() {
      clock.clearTimer(sweepTimer);
      samples.close();
      while (prunes.size > 0) await Promise.all(prunes);
      closed = true;
      await pruneQueue(() => Promise.resolve());
    },
  };
}
