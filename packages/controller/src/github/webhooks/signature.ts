/** Was it GitHub that sent this? The signature is held against the secret of now, and the one before it during a rotation. */
import { readFile } from 'node:fs/promises';
import { verify } from '@octokit/webhooks-methods';
import { errorMessage } from '@mig/common/errors';
import { readSecretFile } from '../client/secret-file.js';

export interface SecretFiles {
  /** Empty: none. */
  readonly secretFile: string;
  /** Of the secret before it; empty: none. */
  readonly previousSecretFile: string;
}

/** `unreadable`: whether it is right cannot be said; `reason` names the key, the file and the remedy, and never a secret (I8). */
export type Verdict =
  | { readonly kind: 'right'; readonly by: 'current' | 'previous' }
  | { readonly kind: 'wrong' }
  | { readonly kind: 'notConfigured' }
  | { readonly kind: 'unreadable'; readonly reason: string };

/** The files are read for every webhook, so that a new secret needs no restart. */
export async function verifySignature(
  { secretFile, previousSecretFile }: SecretFiles,
  body: Buffer,
  signature: string | undefined,
): Promise<Verdict> {
  if (secretFile === '') return { kind: 'notConfigured' };
  try {
    const current = await readSecretFile(
      secretFile,
      'the secret of the webhook',
      'github.webhook.secret_file',
    );
    // What is no signature at all needs no more.
    if (signature === undefined || !/^sha256=[0-9a-f]{64}$/.test(signature) || body.length === 0)
      return { kind: 'wrong' };
    // A body that is no UTF-8 changes here, so that no signature fits it: GitHub sends none.
    const content = body.toString('utf8');
    if (await verify(current, content, signature)) return { kind: 'right', by: 'current' };
    if (previousSecretFile === '') return { kind: 'wrong' };
    const previous = await readPrevious(previousSecretFile);
    if (previous === '') return { kind: 'wrong' };
    return (await verify(previous, content, signature))
      ? { kind: 'right', by: 'previous' }
      : { kind: 'wrong' };
  } catch (error) {
    return { kind: 'unreadable', reason: errorMessage(error) };
  }
}

/** Empty if the rotation is over: the file is empty, or gone. */
async function readPrevious(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new Error(
      `the previous secret of the webhook cannot be read from github.webhook.previous_secret_file (${errorMessage(error)}): give the controller's user the right to read the file, or name another`,
      { cause: error },
    );
  }
}
