/**
 * What the controller keeps of its audit log apart from it, so that who can write the log alone cannot pass it off as whole:
 *
 *   {directory}/audit-key    by which its entries are signed
 *   {directory}/audit-head   its oldest and its newest entry; may be some entries behind, never before what is on disk
 *
 * Who can read and write both folders, as the controller's own user or root, can make everything anew.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import {
  formatKey,
  formatNote,
  parseKey,
  parseNote,
  type AuditKey,
  type AuditNote,
} from '@mig/common/domain/audit';
import { readPrivateFile, writePrivateFile } from './private-file.js';

export interface AuditSeal {
  readonly key: AuditKey;
  /** Outlives the process when it resolves; and the machine after `sync`. @throws the file system's error */
  note(note: AuditNote): Promise<void>;
  /** Does nothing if nothing was noted since. @throws the file system's error */
  sync(): Promise<void>;
  /** Syncs. */
  close(): Promise<void>;
}

export interface StoredSeal {
  /** Undefined = there is none, or it cannot be read. */
  readonly key: AuditKey | undefined;
  readonly note: AuditNote | undefined;
}

const fileOf = (directory: string, name: 'key' | 'head'): string => path.join(directory, `audit-${name}`);

/** @throws the file system's error */
export async function readSeal(directory: string): Promise<StoredSeal> {
  const [key = '', note = ''] = await Promise.all([
    readPrivateFile(fileOf(directory, 'key')),
    readPrivateFile(fileOf(directory, 'head')),
  ]);
  return { key: parseKey(key), note: parseNote(note) };
}

/** @param key that is there; undefined = a new one is made, which signs from entry `note.head.seq + 1` on */
export async function openSeal(
  directory: string,
  key: AuditKey | undefined,
  note: AuditNote,
): Promise<AuditSeal> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // The head first: a key without one means that somebody removed it.
  await writePrivateFile(fileOf(directory, 'head'), formatNote(note));
  const used = key ?? { bytes: randomBytes(32), from: note.head.seq + 1 };
  if (key === undefined) await writePrivateFile(fileOf(directory, 'key'), formatKey(used));
  const handle = await open(fileOf(directory, 'head'), 'r+');
  let isSynced = true;
  async function sync(): Promise<void> {
    if (isSynced) return;
    isSynced = true;
    await handle.datasync();
  }
  return {
    key: used,
    async note(next) {
      // In place, and shorter than a sector: it is there as before or as now, and a full disk does not hinder it.
      await handle.write(formatNote(next), 0);
      isSynced = false;
    },
    sync,
    async close() {
      await sync().catch(() => undefined);
      await handle.close();
    },
  };
}
