/** What is remembered of a VM's folder, so that it need not be listed for every write. */
import path from 'node:path';
import type { Clock } from '@mig/common/clock';
import { eventSchema, type EventResource } from '@mig/common/api/history-resource';
import type { VmIdentity, VmReport } from '@mig/common/domain/vm';
import type { EventPosition } from '../store.js';
import type { DirectoryEntry } from './file-operations.js';
import { toHistory, type HistoryEntry } from './history.js';
import type { RecordReader } from './read-records.js';
import { createStamper } from './stamp.js';

export interface VmFolder {
  readonly vmId: string;
  readonly path: string;
  readonly nextStamp: () => string;
  position: EventPosition;
  eventCount: number;
  heartbeatCount: number;
  /** The newest heartbeat that waits to be kept, of this VM; undefined = none. */
  pendingVm: VmIdentity | undefined;
  pendingReport: VmReport | undefined;
  /** When it is kept, by the monotonic clock. */
  pendingDueMs: number;
  pruning: boolean;
}

export const NO_POSITION: EventPosition = { lastEventId: undefined, bootId: '', sequence: 0 };

/** @param entries what is in the folder; nothing for one that is not there yet */
export async function openVmFolder(
  { reader, clock }: { readonly reader: RecordReader; readonly clock: Clock },
  root: string,
  vmId: string,
  entries: readonly DirectoryEntry[],
): Promise<VmFolder> {
  const history = toHistory(entries);
  const events = history.filter((file) => file.kind === 'event');
  const folder = emptyVmFolder(root, vmId, createStamper(clock, history.at(-1)?.stamp));
  folder.eventCount = events.length;
  folder.heartbeatCount = history.length - events.length;
  folder.position = await findPosition(reader, folder, events);
  return folder;
}

/** A folder without anything in it. */
export const emptyVmFolder = (root: string, vmId: string, nextStamp: () => string): VmFolder => ({
  vmId,
  path: path.join(root, vmId),
  nextStamp,
  position: NO_POSITION,
  eventCount: 0,
  heartbeatCount: 0,
  pendingVm: undefined,
  pendingReport: undefined,
  pendingDueMs: 0,
  pruning: false,
});

/** Events are stored in their order, so the newest counted one has the highest sequence of its boot (I4). */
async function findPosition(
  reader: RecordReader,
  folder: VmFolder,
  events: readonly HistoryEntry[],
): Promise<EventPosition> {
  let lastEventId: string | undefined;
  for (const file of [...events].reverse()) {
    const event = await readEvent(reader, folder, file);
    if (event === undefined) continue;
    lastEventId ??= event.id;
    if (event.sequence > 0) return { lastEventId, bootId: event.boot_id, sequence: event.sequence };
  }
  return { ...NO_POSITION, lastEventId };
}

/** Undefined for one that is gone, or that is torn or foreign and was set aside. */
export const readEvent = (
  reader: RecordReader,
  folder: VmFolder,
  file: HistoryEntry,
): Promise<EventResource | undefined> =>
  reader.read(
    { path: path.join(folder.path, file.name), kind: file.entry, vmId: folder.vmId },
    eventSchema,
    (event) => placeFault(event, folder, file),
  );

/** What is wrong with a history file that is of another VM or another time than its name says. */
export const placeFault = (
  record: { readonly id: string; readonly vm_id: string },
  folder: VmFolder,
  file: HistoryEntry,
): string | undefined =>
  record.vm_id === folder.vmId && record.id === file.stamp
    ? undefined
    : `it is ${record.id} of VM ${record.vm_id}, and does not belong here`;
