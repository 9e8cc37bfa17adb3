/**
 * A VM's histories on disk: event and heartbeat files named by stamp, and their retention.
 *
 *   event-{type}-{stamp}.json        came by HTTP
 *   grpc-event-{type}-{stamp}.json   came by the stream
 *   controller-event-{type}-{stamp}.json   what the controller itself found out
 *   grpc-heartbeat-{stamp}.json
 */
import type { EventSource } from '@mig/common/domain/event';
import type { DirectoryEntry, EntryKind } from './file-operations.js';
import { isStamp, stampTime } from './stamp.js';

export interface HistoryFile {
  readonly name: string;
  readonly kind: 'event' | 'heartbeat';
  readonly stamp: string;
}

/** A type may hold dashes; the stamp never does, so it is what follows the last dash. */
const FILE_NAME = /^(event|grpc-event|controller-event|grpc-heartbeat)-(?:.*-)?([^-]+)\.json$/;

/** What a file name of a VM's directory says, or undefined for any other file. */
export function parseHistoryFile(name: string): HistoryFile | undefined {
  const match = FILE_NAME.exec(name);
  const stamp = match?.[2];
  if (!match || stamp === undefined || !isStamp(stamp)) return undefined;
  return { name, kind: match[1] === 'grpc-heartbeat' ? 'heartbeat' : 'event', stamp };
}

const EVENT_PREFIXES: Readonly<Record<EventSource, string>> = {
  http: 'event',
  grpc: 'grpc-event',
  controller: 'controller-event',
};

export const eventFileName = (via: EventSource, type: string, stamp: string): string =>
  `${EVENT_PREFIXES[via]}-${type}-${stamp}.json`;

export const heartbeatFileName = (stamp: string): string => `grpc-heartbeat-${stamp}.json`;

export interface HistoryEntry extends HistoryFile {
  /** What it is in the file system: somebody may have made a directory of this name. */
  readonly entry: EntryKind;
}

/** The history files among the entries of a VM's directory, oldest first. */
export const toHistory = (entries: readonly DirectoryEntry[]): HistoryEntry[] =>
  entries
    .flatMap(({ name, kind }) => {
      const file = parseHistoryFile(name);
      return file === undefined ? [] : [{ ...file, entry: kind }];
    })
    .sort((a, b) => (a.stamp < b.stamp ? -1 : 1));

/** How long and how many of a VM's histories are kept. */
export interface Retention {
  readonly maxAgeMs: number;
  readonly maxEvents: number;
  readonly maxHeartbeats: number;
}

/** The files that retention gives up: too old, or too many with the oldest first. */
export function selectExpired<File extends HistoryFile>(
  files: readonly File[],
  retention: Retention,
  nowMs: number,
): File[] {
  const surplus = {
    event: files.filter((file) => file.kind === 'event').length - retention.maxEvents,
    heartbeat: files.filter((file) => file.kind === 'heartbeat').length - retention.maxHeartbeats,
  };
  return files.filter((file) => {
    const tooMany = surplus[file.kind] > 0;
    if (tooMany) surplus[file.kind] -= 1;
    return tooMany || stampTime(file.stamp) < nowMs - retention.maxAgeMs;
  });
}
