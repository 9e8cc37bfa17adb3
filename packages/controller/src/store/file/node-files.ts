/** The file operations of the machine. By descriptors and not by handles: half the work for the many small files. */
import {
  constants,
  fdatasync,
  fstat,
  fsync,
  ftruncate,
  open,
  write,
  close,
  rename,
  type Dirent,
} from 'node:fs';
import { lstat, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { errorCode, type DirectoryEntry, type EntryKind, type FileOperations } from './file-operations.js';

const { O_CREAT, O_DIRECTORY, O_DSYNC, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } =
  constants;
const openFile = promisify(open) as (path: string, flags: number, mode?: number) => Promise<number>;
const closeFile = promisify(close);
const renameFile = promisify(rename);
const syncData = promisify(fdatasync);
const syncAll = promisify(fsync);
const statOpen = promisify(fstat);
const truncateOpen = promisify(ftruncate);
const writeOpen = promisify(write) as (
  fd: number,
  data: Buffer,
  offset: number,
  length: number,
  position: number,
) => Promise<{ bytesWritten: number }>;

/** Owner only: what VMs report is nobody else's business. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

export const nodeFiles: FileOperations = {
  makeDirectory: async (directory) =>
    void (await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })),
  list: async (directory) => (await readdir(directory, { withFileTypes: true })).map(toEntry),
  async kindOf(path) {
    try {
      return toKind(await lstat(path));
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  },
  readText: (file) => readFile(file, 'utf8'),
  writeText: (file, content, sync) =>
    withOpen(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, async (fd) => {
      await writeAll(fd, Buffer.from(content), 0);
      if (sync) await syncData(fd);
    }),
  rename: renameFile,
  remove: (file) => rm(file, { force: true }),
  removeTree: (directory) => rm(directory, { recursive: true, force: true }),
  // Not blocked by a pipe that somebody put in the file's place.
  syncFile: (file) => withOpen(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, syncData),
  syncDirectory: (directory) => withOpen(directory, O_RDONLY | O_DIRECTORY, syncAll),
  async createLogFile(file) {
    // A write that resolves is synced: one way to the disk instead of two.
    const fd = await openFile(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_DSYNC, FILE_MODE);
    let isTruncated = false;
    return {
      write: (data, position) => writeAll(fd, data, position),
      async sync() {
        if (isTruncated) await syncData(fd);
        isTruncated = false;
      },
      truncate(size) {
        isTruncated = true;
        return truncateOpen(fd, size);
      },
      isLinked: async () => (await statOpen(fd)).nlink > 0,
      close: () => closeFile(fd),
    };
  },
};

async function withOpen(file: string, flags: number, use: (fd: number) => Promise<void>): Promise<void> {
  const fd = await openFile(file, flags, FILE_MODE);
  try {
    await use(fd);
  } finally {
    await closeFile(fd);
  }
}

/** A full disk may take a part: then the rest is tried, and its error is the answer. */
async function writeAll(fd: number, data: Buffer, position: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesWritten } = await writeOpen(fd, data, done, data.length - done, position + done);
    done += bytesWritten;
  }
}

const toEntry = (entry: Dirent): DirectoryEntry => ({ name: entry.name, kind: toKind(entry) });

function toKind(entry: { isFile(): boolean; isDirectory(): boolean }): EntryKind {
  if (entry.isFile()) return 'file';
  return entry.isDirectory() ? 'directory' : 'other';
}
