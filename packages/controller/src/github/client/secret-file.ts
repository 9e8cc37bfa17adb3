/** Files with secrets, read when they are used, so that they can be replaced at any time. */
import { readFile } from 'node:fs/promises';
import { errorMessage } from '@mig/common/errors';
import { GitHubCallError } from './github-client.js';

/**
 * The content without white space around it.
 *
 * @param what `the token`
 * @param key the key of the configuration that names the file
 * @throws GitHubCallError `credentials` if it cannot be read, or is empty
 */
export async function readSecretFile(file: string, what: string, key: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw unusable(
      `${what} cannot be read from ${key} (${errorMessage(error)}): give the controller's user the right to read the file, or name another`,
    );
  }
  const content = text.trim();
  if (content === '') throw unusable(`${file} (${key}) is empty: put ${what} there`);
  return content;
}

/** @param message names the file and the remedy, and nothing of its content (I8) */
export const unusable = (message: string): GitHubCallError =>
  new GitHubCallError('credentials', message, undefined, undefined);
