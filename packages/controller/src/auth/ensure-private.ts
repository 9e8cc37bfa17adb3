/** What is secret stays so: modes that are wider than they were made, as a copy or a restore leaves them, are mended. */
import { chmod, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from '@mig/common/logger';

/**
 * Makes the folder 0700 and the files in it 0600, and warns of each that others could read. A folder that is not there is
 * none of its business; nor are modes on Windows.
 * @throws the file system's error, for a mode that cannot be changed
 */
export async function ensurePrivate(directory: string, logger: Logger): Promise<void> {
  if (process.platform === 'win32') return;
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (names === undefined) return;
  await mend(directory, 0o700, logger);
  for (const name of names) await mend(path.join(directory, name), 0o600, logger);
}

async function mend(file: string, mode: number, logger: Logger): Promise<void> {
  const { mode: before } = await stat(file);
  if ((before & 0o777 & ~mode) === 0) return;
  await chmod(file, mode);
  logger.warn(
    { event: 'secret_exposed', file, mode: (before & 0o777).toString(8) },
    'others on this machine could use this file, and cannot any more: if somebody may have read it, revoke its tokens',
  );
}
