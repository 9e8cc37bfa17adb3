/** The work folder of the runner, where it is not in `runner.dir`: made, and given to the runner's user, if it is missing. */
import { chownSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { UserEntry } from './user.js';

/**
 * The runner makes its own in its own folder. One that is there is used as it is: its owner is the operator's choice.
 *
 * @throws the file system's error if it cannot be made
 */
export function prepareWorkFolder(
  runnerDirectory: string,
  workFolder: string,
  user: UserEntry | undefined,
): void {
  const folder = path.resolve(runnerDirectory, workFolder);
  if (folder.startsWith(`${runnerDirectory}${path.sep}`) || existsSync(folder)) return;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
}
