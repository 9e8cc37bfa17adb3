/** The files and directories of a disk in memory, with what they were since their last sync. */
import path from 'node:path';

export interface FileNode {
  readonly kind: 'file';
  content: Buffer;
  /** What it was since the last sync, from that on. */
  versions: Buffer[];
  /** Not all that was written was given to a sync yet. */
  dirty: boolean;
  links: number;
}

export interface DirectoryNode {
  readonly kind: 'directory';
  readonly entries: Map<string, Node>;
  /** What a name pointed to since the last sync, from that on. */
  readonly versions: Map<string, (Node | undefined)[]>;
}

export type Node = FileNode | DirectoryNode;

export interface MemoryTree {
  readonly root: DirectoryNode;
  find(file: string): Node | undefined;
  directoryAt(directory: string): DirectoryNode;
  fileAt(file: string): FileNode;
  /** Makes the name point to the node, or to nothing. */
  put(file: string, node: Node | undefined): void;
  makeDirectories(directory: string): void;
  /** The tree with nothing unsynced in it: as it is, or as a power cut may leave it. */
  copy(powerCut: boolean): MemoryTree;
  /** The content of every file, by path. */
  contents(): Record<string, string>;
}

const makeDirectoryNode = (): DirectoryNode => ({
  kind: 'directory',
  entries: new Map(),
  versions: new Map(),
});

export const newFile = (): FileNode => ({
  kind: 'file',
  content: Buffer.alloc(0),
  versions: [Buffer.alloc(0)],
  dirty: true,
  links: 0,
});

export function change(node: FileNode, content: Buffer): void {
  node.content = content;
  node.versions.push(content);
  node.dirty = true;
}

export function overwrite(node: FileNode, data: Buffer, position: number): void {
  const size = Math.max(node.content.length, position + data.length);
  const content = Buffer.alloc(size);
  node.content.copy(content);
  data.copy(content, position);
  change(node, content);
}

/** @param random a number in [0, 1) */
export function createMemoryTree(random: () => number, root = makeDirectoryNode()): MemoryTree {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;

  function find(file: string): Node | undefined {
    let node: Node | undefined = root;
    for (const part of file.split('/').filter(Boolean)) {
      if (node?.kind === 'file') throw systemError('ENOTDIR', 'open', file);
      node = node?.entries.get(part);
    }
    return node;
  }

  function directoryAt(directory: string): DirectoryNode {
    const node = find(directory);
    if (node === undefined) throw systemError('ENOENT', 'open', directory);
    if (node.kind === 'file') throw systemError('ENOTDIR', 'open', directory);
    return node;
  }

  function fileAt(file: string): FileNode {
    const node = find(file);
    if (node === undefined) throw systemError('ENOENT', 'open', file);
    if (node.kind === 'directory') throw systemError('EISDIR', 'open', file);
    return node;
  }

  function put(file: string, node: Node | undefined): void {
    const directory = directoryAt(path.dirname(file));
    const name = path.basename(file);
    const before = directory.entries.get(name);
    if (!directory.versions.has(name)) directory.versions.set(name, [before]);
    directory.versions.get(name)?.push(node);
    if (before?.kind === 'file') before.links -= 1;
    if (node?.kind === 'file') node.links += 1;
    if (node === undefined) directory.entries.delete(name);
    else directory.entries.set(name, node);
  }

  function makeDirectories(directory: string): void {
    if (directory === '/' || directory === '.') return;
    const node = find(directory);
    if (node?.kind === 'file') throw systemError('EEXIST', 'mkdir', directory);
    if (node !== undefined) return;
    makeDirectories(path.dirname(directory));
    put(directory, makeDirectoryNode());
  }

  function copyTree(node: Node, contentOf: (file: FileNode) => Buffer, entriesOf: typeof allEntries): Node {
    const copies = new Map<Node, Node>();
    const copy = (from: Node): Node => {
      const known = copies.get(from);
      if (known !== undefined) return known;
      if (from.kind === 'file') {
        const content = contentOf(from);
        const file: FileNode = { kind: 'file', content, versions: [content], dirty: false, links: 0 };
        copies.set(from, file);
        return file;
      }
      const directory = makeDirectoryNode();
      copies.set(from, directory);
      for (const [name, entry] of entriesOf(from)) {
        const copied = copy(entry);
        if (copied.kind === 'file') copied.links += 1;
        directory.entries.set(name, copied);
      }
      return directory;
    };
    return copy(node);
  }

  const allEntries = (directory: DirectoryNode): Iterable<[string, Node]> => directory.entries;

  function entriesAfterPowerCut(directory: DirectoryNode): [string, Node][] {
    const names = new Set([...directory.entries.keys(), ...directory.versions.keys()]);
    return [...names].flatMap((name): [string, Node][] => {
      const node = pick(directory.versions.get(name) ?? [directory.entries.get(name)]);
      return node === undefined ? [] : [[name, node]];
    });
  }

  function contentAfterPowerCut(file: FileNode): Buffer {
    const synced = file.versions[0] ?? file.content;
    const version = pick(file.versions);
    if (version.length <= synced.length || random() < 0.3) return version;
    // What was appended since the last sync: a part of it may be there, and zeros for the rest.
    const length = synced.length + Math.floor(random() * (version.length - synced.length + 1));
    const kept = version.subarray(0, length);
    return random() < 0.7 ? kept : Buffer.concat([kept, Buffer.alloc(version.length - length)]);
  }

  return {
    root,
    find,
    directoryAt,
    fileAt,
    put,
    makeDirectories,
    copy: (powerCut) =>
      createMemoryTree(
        random,
        (powerCut
          ? copyTree(root, contentAfterPowerCut, entriesAfterPowerCut)
          : copyTree(root, (file) => file.content, allEntries)) as DirectoryNode,
      ),
    contents() {
      const found: Record<string, string> = {};
      const walk = (directory: DirectoryNode, at: string): void => {
        for (const [name, node] of directory.entries) {
          if (node.kind === 'directory') walk(node, `${at}/${name}`);
          else found[`${at}/${name}`] = node.content.toString('utf8');
        }
      };
      walk(root, '');
      return found;
    },
  };
}

export function systemError(code: string, operation: string, file: string): Error {
  return Object.assign(new Error(`${code}: ${operation} '${file}'`), { code });
}
