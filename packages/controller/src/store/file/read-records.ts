/** Reads back what the file store wrote. A file that is torn or foreign is set aside and reported, never fatal. */
import { readFile, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { isValidId } from '@mig/common/domain/ids';
import * as z from 'zod';
import { TEMPORARY_SUFFIX } from './file-writer.js';

/** What a file that could not be read is called from then on: `NAME.bad`. */
const ASIDE_SUFFIX = '.bad';

/** The parsed content, or undefined if there is no such file or it is not what it should be. */
export async function readRecord<T>(
  file: string,
  schema: z.ZodType<T>,
  logger: Logger,
): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      logger.warn({ file, reason: errorMessage(error) }, 'a stored file cannot be read; it is left out');
    }
    return undefined;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : errorMessage(error);
    logger.warn(
      { file, setAsideAs: file + ASIDE_SUFFIX, reason },
      'a stored file is torn or foreign; it is set aside',
    );
    await rename(file, file + ASIDE_SUFFIX).catch(() => undefined);
    return undefined;
  }
}

/** The ids of the VMs that the directory holds. */
export async function listVmDirectories(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory() && isValidId(entry.name)).map((entry) => entry.name);
}

/** The `.json` files of a directory; temporary files that a crash left behind are removed. */
export async function listRecordFiles(directory: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch {
    return [];
  }
  const leftovers = names.filter((name) => name.endsWith(TEMPORARY_SUFFIX));
  await Promise.all(leftovers.map((name) => rm(path.join(directory, name), { force: true })));
  return names.filter((name) => name.endsWith('.json')).map((name) => path.join(directory, name));
}
