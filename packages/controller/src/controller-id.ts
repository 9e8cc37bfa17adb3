/**
 * Which controller this is: part of the name of every runner, by which its runners are known as its own (github/runners/ownership.ts).
 *
 *   {data_dir}/.controller-id     6 of a-z 0-9, made at the first start
 *
 * It must never change while runners of it are registered: they would be nobody's. So a file that cannot be read stops the start, and
 * is not made anew.
 */
import { randomInt } from 'node:crypto';
import path from 'node:path';
import { MigError, errorMessage, printable } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { nodeFiles } from './store/file/node-files.js';

export class ControllerIdUnreadableError extends MigError {
  constructor(
    readonly file: string,
    readonly problem: string,
    options?: ErrorOptions,
  ) {
    super(
      'controller-id-unreadable',
      `the id of this controller cannot be read from ${file} (${problem}): set controller_id to the part of its runners' names at GitHub that follows github.runner_prefix, or remove the file if it has no runners there`,
      options,
    );
  }
}

const FILE = '.controller-id';
const PATTERN = /^[a-z0-9]{4,8}$/;
const LENGTH = 6;
const DIGITS = 'abcdefghijklmnopqrstuvwxyz0123456789';

/**
 * The id of the configuration, or else the one that is kept in the data directory, which exists and is held by this process.
 * @throws ControllerIdUnreadableError
 * @throws the file system's error if a new one cannot be kept
 */
export async function loadControllerId(
  { configured, directory }: { readonly configured: string; readonly directory: string },
  logger: Logger,
): Promise<string> {
  const file = path.join(directory, FILE);
  if (configured !== '') {
    const kept = await readKept(file).catch(() => undefined);
    if (kept !== undefined && kept !== configured) {
      logger.warn(
        { configured, kept, file },
        'controller_id differs from the id that was used before: runners with that id in their names are not taken for ours',
      );
    }
    return configured;
  }
  const kept = await readKept(file);
  if (kept !== undefined) return kept;
  const made = Array.from({ length: LENGTH }, () => DIGITS.charAt(randomInt(DIGITS.length))).join('');
  const draft = `${file}.tmp`;
  await nodeFiles.writeText(draft, `${made}\n`, true);
  await nodeFiles.rename(draft, file);
  await nodeFiles.syncDirectory(directory);
  logger.info({ controllerId: made, file }, 'this controller has an id now');
  return made;
}

/** Undefined if there is none yet. @throws ControllerIdUnreadableError */
async function readKept(file: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await nodeFiles.readText(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ControllerIdUnreadableError(file, errorMessage(error), { cause: error });
  }
  const kept = text.trim();
  if (PATTERN.test(kept)) return kept;
  throw new ControllerIdUnreadableError(
    file,
    kept === '' ? 'it is empty' : `it says ${JSON.stringify(printable(kept, 40))}`,
  );
}
