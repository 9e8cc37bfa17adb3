/** `runner.json`: which process the runner is, and how far its output has been told; what the next process of the MIGlet goes on from. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { ProcessIdentity } from '@mig/common/process-identity';
import { writeFileDurably } from '../host/write-file.js';
import type { RunnerFacts } from '../machine/types.js';
import type { WatchState } from './job-watch.js';
import type { TreeNote } from './tree/runner-tree.js';

export interface RunnerNote extends ProcessIdentity {
  readonly runner: RunnerFacts;
  /** By which its processes are found again; undefined = by what its listener itself tells. */
  readonly tree: TreeNote | undefined;
  /** Every line before it, in bytes, is told, and what it says is journaled. */
  readonly offset: number;
  /** Of the beginning of the output: another one says that the file was emptied since, and is to be read from its beginning. */
  readonly head: OutputHead;
  /** What is known by those lines. */
  readonly state: WatchState;
}

export interface OutputHead {
  readonly bytes: number;
  readonly sha256: string;
}

export type FoundNote =
  | { readonly kind: 'note'; readonly note: RunnerNote }
  | { readonly kind: 'none' }
  /** There is one, and it cannot be read, or is of another version. `process` if that is still known. */
  | { readonly kind: 'torn'; readonly process: ProcessIdentity | undefined };

export const HEAD_BYTES = 64;

export const noteFile = (stateDirectory: string): string => path.join(stateDirectory, 'runner.json');

export function readNote(stateDirectory: string): FoundNote {
  let text: string;
  try {
    text = readFileSync(noteFile(stateDirectory), 'utf8');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? { kind: 'none' }
      : { kind: 'torn', process: undefined };
  }
  try {
    const note = JSON.parse(text) as Partial<RunnerNote> | null;
    if (note === null || typeof note.pid !== 'number' || typeof note.startedAt !== 'string')
      return { kind: 'torn', process: undefined };
    const { pid, startedAt, runner, tree, offset, head, state } = note;
    return typeof runner?.name === 'string' &&
      typeof offset === 'number' &&
      typeof head?.sha256 === 'string' &&
      typeof state?.jobsDone === 'number'
      ? { kind: 'note', note: { pid, startedAt, runner, tree, offset, head, state } }
      : { kind: 'torn', process: { pid, startedAt } };
  } catch {
    return { kind: 'torn', process: undefined };
  }
}

/** @throws the file system's error; the note before it is then still there */
export const writeNote = (stateDirectory: string, note: RunnerNote): void =>
  writeFileDurably(noteFile(stateDirectory), `${JSON.stringify(note)}\n`);

export const removeNote = (stateDirectory: string): void => rmSync(noteFile(stateDirectory), { force: true });

/** Of the first bytes of the file, as many as there are before this offset, at most 64. */
export function headOf(file: string, offset: number): OutputHead {
  const bytes = Math.min(HEAD_BYTES, offset);
  const buffer = Buffer.alloc(bytes);
  const descriptor = openSync(file, 'r');
  try {
    const count = bytes === 0 ? 0 : readSync(descriptor, buffer, 0, bytes, 0);
    return { bytes, sha256: createHash('sha256').update(buffer.subarray(0, count)).digest('hex') };
  } finally {
    closeSync(descriptor);
  }
}
