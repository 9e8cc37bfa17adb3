/**
 * Where a process works and what it writes to (proc(5): cwd, fd), by which one is known as a runner's that left its parents, its
 * session and its environment behind.
 */
import { readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { isAlive, type ProcessIdentity } from '@mig/common/process-identity';

export interface Places {
  /** The folder that the listener was started in: `runner.dir`. */
  readonly directory: string;
  /** The file that it writes into; empty if it is none. */
  readonly output: string;
}

/** Those of the listener; undefined if it has ended, or may not be looked at. */
export function placesOf(leader: ProcessIdentity): Places | undefined {
  const directory = linkOf(leader.pid, 'cwd');
  const output = linkOf(leader.pid, 'fd/1');
  // Its number may be another's since.
  if (directory === '' || !isAlive(leader)) return undefined;
  return { directory, output: isFile(output) ? output : '' };
}

/** Does it work in that folder, or below it, or write into that file? False if that may not be looked at. */
export function isAt(pid: number, { directory, output }: Places): boolean {
  // Nobody's own folder.
  if (directory !== path.parse(directory).root && isIn(linkOf(pid, 'cwd'), directory)) return true;
  return output !== '' && ['fd/1', 'fd/2'].some((name) => linkOf(pid, name) === output);
}

/** As the kernel names a folder that was removed. */
const DELETED = ' (deleted)';

const isIn = (place: string, directory: string): boolean =>
  place === directory || place === `${directory}${DELETED}` || place.startsWith(`${directory}/`);

/** A terminal, a pipe or /dev/null is shared with others. */
const isFile = (file: string): boolean =>
  path.isAbsolute(file) && statSync(file, { throwIfNoEntry: false })?.isFile() === true;

function linkOf(pid: number, name: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return '';
  }
}
