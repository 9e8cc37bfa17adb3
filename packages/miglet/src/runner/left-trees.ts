/**
 * Trees of listeners that ended to be updated. What updates the runner is a process of the tree and has to go on; so has, for
 * that long, whatever earlier jobs left in it. Nothing of it may outlive the update: all of it is ended before the next listener
 * starts, by whichever process of the MIGlet starts it.
 *
 * They are in `runner-left.json`, one for each such end that no listener has followed yet.
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { ProcessIdentity } from '@mig/common/process-identity';
import { writeFileDurably } from '../host/write-file.js';
import { reopenRunnerTree, type TreeEnd, type TreeNote } from './tree/runner-tree.js';

export interface LeftTree {
  readonly tree: TreeNote;
  readonly leader: ProcessIdentity;
  /** Of it when its listener had ended: one that cleared its environment is known by nothing else. */
  readonly members: readonly ProcessIdentity[];
}

const fileIn = (stateDirectory: string): string => path.join(stateDirectory, 'runner-left.json');

/** @throws the file system's error */
export function keepLeftTree(stateDirectory: string, left: LeftTree): void {
  writeFileDurably(fileIn(stateDirectory), `${JSON.stringify([...readLeftTrees(stateDirectory), left])}\n`);
}

/** Ends all of them, for at most 10 s each, and forgets them. @returns what was there, and what would not end */
export async function endLeftTrees(stateDirectory: string): Promise<TreeEnd> {
  const trees = readLeftTrees(stateDirectory);
  if (trees.length === 0) return { found: 0, left: [] };
  const ends = await Promise.all(
    trees.map(({ tree, leader, members }) => reopenRunnerTree(tree, leader, members).end()),
  );
  rmSync(fileIn(stateDirectory), { force: true });
  return {
    found: ends.reduce((sum, { found }) => sum + found, 0),
    left: ends.flatMap(({ left }) => left),
  };
}

/** A file that cannot be read names nothing: whoever asks cannot do without it better. */
function readLeftTrees(stateDirectory: string): LeftTree[] {
  try {
    const trees = JSON.parse(readFileSync(fileIn(stateDirectory), 'utf8')) as unknown;
    return Array.isArray(trees) ? (trees as Partial<LeftTree>[]).filter(isLeftTree) : [];
  } catch {
    return [];
  }
}

const isLeftTree = (left: Partial<LeftTree> | null): left is LeftTree =>
  typeof left?.tree?.id === 'string' &&
  typeof left.tree.cgroup === 'string' &&
  typeof left.leader?.pid === 'number' &&
  Array.isArray(left.members);
