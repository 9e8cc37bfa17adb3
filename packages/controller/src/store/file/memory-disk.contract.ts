/**
 * A disk in memory for tests: it fails on demand, stops at any operation as a killed process does, and forgets what was not
 * synced as a power cut does.
 *
 * Operations that wait are done in a random order, as those of a thread pool are, one per turn of the event loop. What was
 * not synced may, after a power cut, be as it was at any time since the last sync: a name points to what it pointed to
 * before or does not exist, a file is empty, cut short or ends in zeros.
 */
import path from 'node:path';
import type { DirectoryEntry, FileOperations } from './file-operations.js';
import {
  change,
  createMemoryTree,
  newFile,
  overwrite,
  systemError,
  type FileNode,
  type MemoryTree,
} from './memory-tree.contract.js';

export type FaultCode = 'ENOSPC' | 'EIO' | 'EMFILE' | 'EACCES';

export interface MemoryDisk {
  readonly files: FileOperations;
  /** Operations that were done so far. */
  readonly operationCount: number;
  /** From now on: the error of the operation, if it is to fail. */
  setFaults(faults: ((operation: string, file: string) => FaultCode | undefined) | undefined): void;
  /** The process is killed when so many more operations were done: what waits then is never done, and never answered. */
  killAfter(operations: number): void;
  readonly killed: Promise<void>;
  readonly isKilled: boolean;
  /** The disk as the next process finds it after the kill. */
  afterKill(): MemoryDisk;
  /** The disk as the next process finds it after a power cut at this moment. */
  afterPowerCut(): MemoryDisk;
  /** What a person would see: the content of every file, by path. */
  contents(): Record<string, string>;
}

interface Step {
  readonly run: () => void;
  /** What may be done of it when the process is killed in the middle. */
  readonly part: (() => void) | undefined;
}

/** The operations that can fail so; those that are not named here can fail in every operation. */
const FAULTS_OF: Partial<Record<FaultCode, ReadonlySet<string>>> = {
  EMFILE: new Set(['open', 'create', 'read', 'list', 'syncDirectory']),
  ENOSPC: new Set(['create', 'write', 'sync', 'syncDirectory', 'truncate', 'rename', 'makeDirectory']),
};

/** @param random a number in [0, 1) */
export function createMemoryDisk(random: () => number): MemoryDisk {
  return diskOn(createMemoryTree(random), random);
}

function diskOn(tree: MemoryTree, random: () => number): MemoryDisk {
  const { find, directoryAt, fileAt, put, makeDirectories } = tree;
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  let queue: Step[] = [];
  let pumping = false;
  let dead = false;
  let operationCount = 0;
  let killAt = Infinity;
  let faults: ((operation: string, file: string) => FaultCode | undefined) | undefined;
  let onKilled = () => {};
  const killed = new Promise<void>((resolve) => (onKilled = resolve));

  function pump(): void {
    if (dead || queue.length === 0) {
      pumping = false;
      return;
    }
    const step = pick(queue);
    if (operationCount >= killAt) {
      dead = true;
      if (random() < 0.5) step.part?.();
      queue = [];
      onKilled();
      return;
    }
    queue = queue.filter((other) => other !== step);
    operationCount += 1;
    step.run();
    setImmediate(pump);
  }

  /** One operation of the system. `part`: what of it may be done when it fails or the process is killed. */
  function step<T>(operation: string, file: string, action: () => T, part?: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (dead) return;
      const run = () => {
        const code = faults?.(operation, file);
        if (code !== undefined && (FAULTS_OF[code]?.has(operation) ?? true)) {
          part?.();
          reject(systemError(code, operation, file));
          return;
        }
        try {
          resolve(action());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      queue.push({ run, part });
      if (!pumping) {
        pumping = true;
        setImmediate(pump);
      }
    });
  }

  const writeStep = (node: FileNode, file: string, data: Buffer, position: number) =>
    step(
      'write',
      file,
      () => overwrite(node, data, position),
      () => overwrite(node, data.subarray(0, Math.floor(random() * data.length)), position),
    );

  /** A sync that fails leaves the pages for clean: the next one succeeds, and has synced nothing. */
  async function syncNode(node: FileNode, file: string): Promise<void> {
    await step(
      'sync',
      file,
      () => {
        if (node.dirty) node.versions = [node.content];
        node.dirty = false;
      },
      () => (node.dirty = false),
    );
  }

  async function removeTree(directory: string): Promise<void> {
    const entries = await step('list', directory, () => {
      const node = find(directory);
      return node?.kind === 'directory' ? [...node.entries] : [];
    });
    for (const [name, node] of entries) {
      const inside = path.join(directory, name);
      if (node.kind === 'directory') await removeTree(inside);
      else await step('remove', inside, () => find(inside) && put(inside, undefined));
    }
    await step('remove', directory, () => {
      const node = find(directory);
      if (node === undefined) return;
      if (node.kind === 'directory' && node.entries.size > 0) {
        throw systemError('ENOTEMPTY', 'rmdir', directory);
      }
      put(directory, undefined);
    });
  }

  const files: FileOperations = {
    makeDirectory: (directory) => step('makeDirectory', directory, () => makeDirectories(directory)),
    list: (directory) =>
      step('list', directory, () =>
        [...directoryAt(directory).entries].map(([name, node]): DirectoryEntry => ({
          name,
          kind: node.kind,
        })),
      ),
    kindOf: (file) =>
      step('kindOf', file, () => {
        try {
          return find(file)?.kind;
        } catch {
          return undefined;
        }
      }),
    readText: (file) => step('read', file, () => fileAt(file).content.toString('utf8')),
    async writeText(file, content, sync) {
      const node = await step('create', file, () => {
        const there = find(file);
        if (there?.kind === 'directory') throw systemError('EISDIR', 'open', file);
        if (there === undefined) put(file, newFile());
        else change(there, Buffer.alloc(0));
        return fileAt(file);
      });
      await writeStep(node, file, Buffer.from(content), 0);
      if (sync) await syncNode(node, file);
    },
    rename: (from, to) =>
      step('rename', from, () => {
        const node = find(from);
        const there = find(to);
        directoryAt(path.dirname(to));
        if (node === undefined) throw systemError('ENOENT', 'rename', from);
        if (there?.kind === 'directory' && node.kind === 'file') throw systemError('EISDIR', 'rename', to);
        if (there?.kind === 'directory' && there.entries.size > 0)
          throw systemError('ENOTEMPTY', 'rename', to);
        if (there?.kind === 'file' && node.kind === 'directory') throw systemError('ENOTDIR', 'rename', to);
        put(to, node);
        put(from, undefined);
      }),
    remove: (file) =>
      step('remove', file, () => {
        const node = find(file);
        if (node?.kind === 'directory') throw systemError('EISDIR', 'unlink', file);
        if (node !== undefined) put(file, undefined);
      }),
    removeTree,
    async syncFile(file) {
      const node = await step('open', file, () => find(file) ?? fileAt(file));
      if (node.kind === 'file') await syncNode(node, file);
    },
    syncDirectory: (directory) =>
      step('syncDirectory', directory, () => directoryAt(directory).versions.clear()),
    async createLogFile(file) {
      const node = await step('create', file, () => {
        if (find(file) !== undefined) throw systemError('EEXIST', 'open', file);
        put(file, newFile());
        return fileAt(file);
      });
      return {
        write: (data, position) => writeStep(node, file, Buffer.from(data), position),
        sync: () => syncNode(node, file),
        truncate: (size) => step('truncate', file, () => change(node, node.content.subarray(0, size))),
        isLinked: () => step('stat', file, () => node.links > 0),
        close: () => step('close', file, () => undefined),
      };
    },
  };

  return {
    files,
    killed,
    get isKilled() {
      return dead;
    },
    get operationCount() {
      return operationCount;
    },
    setFaults: (given) => (faults = given),
    killAfter: (operations) => (killAt = operationCount + operations),
    afterKill: () => diskOn(tree.copy(false), random),
    afterPowerCut: () => diskOn(tree.copy(true), random),
    contents: tree.contents,
  };
}
