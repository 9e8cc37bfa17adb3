/** What the log has and its file has not yet, by file; found by folder as well. */
import path from 'node:path';
import type { FileContent } from './log-entry.js';
import { prefixOf } from './path-prefix.js';

export interface Unplaced {
  get(file: string): FileContent | undefined;
  has(file: string): boolean;
  set(file: string, content: FileContent): void;
  delete(file: string): void;
  /** The files in the folder right below the root, and in those below it. */
  within(directory: string): Iterable<string>;
}

/** @param root every file is below it */
export function createUnplaced(root: string): Unplaced {
  const contents = new Map<string, FileContent>();
  const folders = new Map<string, Set<string>>();
  const rootLength = prefixOf(root).length;
  const folderOf = (file: string): string => {
    const end = file.indexOf(path.sep, rootLength);
    return file.slice(0, end < 0 ? rootLength : end);
  };

  return {
    get: (file) => contents.get(file),
    has: (file) => contents.has(file),
    set(file, content) {
      contents.set(file, content);
      const folder = folderOf(file);
      const files = folders.get(folder) ?? new Set();
      folders.set(folder, files.add(file));
    },
    delete(file) {
      if (!contents.delete(file)) return;
      const folder = folderOf(file);
      const files = folders.get(folder);
      files?.delete(file);
      if (files?.size === 0) folders.delete(folder);
    },
    within: (directory) => folders.get(directory) ?? [],
  };
}
