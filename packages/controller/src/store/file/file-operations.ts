/**
 * What the file store needs of a file system. Declared here so that its tests can give it one that fails, stops at any
 * operation, or forgets what was not synced, as a power cut does.
 *
 * Paths are absolute. Every operation rejects with the system's error (`code`: ENOENT, ENOSPC, EIO, …).
 */

/** `other`: a link, a pipe, a socket, a device. */
export type EntryKind = 'file' | 'directory' | 'other';

export interface DirectoryEntry {
  readonly name: string;
  readonly kind: EntryKind;
}

export interface FileOperations {
  /** Makes the directory and those above it; one that is there is no error. */
  makeDirectory(directory: string): Promise<void>;
  list(directory: string): Promise<DirectoryEntry[]>;
  /** What is there, not following a link; undefined if nothing is. */
  kindOf(path: string): Promise<EntryKind | undefined>;
  readText(file: string): Promise<string>;
  /** Makes the file or replaces its content; with `sync`, the content survives a power cut when it resolves. */
  writeText(file: string, content: string, sync: boolean): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** A file that is not there is no error. */
  remove(file: string): Promise<void>;
  /** Removes the directory with all that is in it; one that is not there is no error. */
  removeTree(directory: string): Promise<void>;
  /** The file's content survives a power cut when it resolves; its name does when its directory is synced as well. */
  syncFile(file: string): Promise<void>;
  /** What was made, renamed and removed in the directory survives a power cut when it resolves. */
  syncDirectory(directory: string): Promise<void>;
  /** Makes a file for the log; one that is there is an error (EEXIST). */
  createLogFile(file: string): Promise<LogFile>;
}

export interface LogFile {
  /** Writes all of the data at the position. If it rejects, any part of it may be there. */
  write(data: Buffer, position: number): Promise<void>;
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  /** False once somebody removed the file: what is written to it is found by nobody. */
  isLinked(): Promise<boolean>;
  close(): Promise<void>;
}

/** The `code` of a system's error, or undefined. */
export const errorCode = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** Codes that say nothing about the file: the process, or the machine, can open no more just now. */
export const EXHAUSTED: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']);
