/** What is done to one path is done in the order of the calls; different paths go side by side. */
import path from 'node:path';

export interface PathOrder {
  /** Runs the operation after those on the same path, and after a removal of the directory that the path is in. */
  enqueue(file: string, operation: () => Promise<void>): Promise<void>;
  /** Runs the operation after all that was enqueued for paths in the directory; later ones for them wait for it. */
  enqueueTree(directory: string, operation: () => Promise<void>): Promise<void>;
  isBusy(file: string): boolean;
  /** Is a directory being removed, or does a removal wait? */
  readonly removesTrees: boolean;
  /** Paths that are busy. */
  readonly size: number;
  /** Resolves when nothing is left to do. */
  idle(): Promise<void>;
}

export function createPathOrder(): PathOrder {
  /** The last operation on each path and on each directory; settled without an error. */
  const active = new Map<string, Promise<unknown>>();
  /** Directories among them. */
  const trees = new Set<string>();

  function run(key: string, before: Promise<unknown>, operation: () => Promise<void>): Promise<void> {
    const done = before.then(operation);
    const settle = () => {
      if (active.get(key) !== settled) return;
      active.delete(key);
      trees.delete(key);
    };
    const settled = done.then(settle, settle);
    active.set(key, settled);
    return done;
  }

  /** What the next operation on the path must wait for. */
  function tailOf(file: string): Promise<unknown> {
    const own = active.get(file) ?? Promise.resolve();
    if (trees.size === 0) return own;
    const above = [...trees].filter((directory) => file.startsWith(directory + path.sep));
    return Promise.all([own, ...above.map((directory) => active.get(directory))]);
  }

  return {
    enqueue: (file, operation) => run(file, tailOf(file), operation),
    enqueueTree(directory, operation) {
      const inside = [...active.keys()].filter((file) => file.startsWith(directory + path.sep));
      const before = Promise.all([active.get(directory), ...inside.map((file) => active.get(file))]);
      trees.add(directory);
      return run(directory, before, operation);
    },
    isBusy: (file) => active.has(file),
    get removesTrees() {
      return trees.size > 0;
    },
    get size() {
      return active.size;
    },
    async idle() {
      while (active.size > 0) await Promise.all(active.values());
    },
  };
}
