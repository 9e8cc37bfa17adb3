/**
 * Controllers that this person is logged in at: a file that only they can read, `~/.config/mig/contexts.json`, or the one of
 * MIGCTL_CONFIG. One of them is the current one.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { errorMessage } from '@mig/common/errors';
import { CliError, EXIT, UsageError } from '../errors.js';

export interface Context {
  /** Address of the controller, as `resolveServer` writes it. */
  readonly server: string;
  readonly token?: string;
  /** Certificates of the authorities that the controller's may be of; default: those of Node. */
  readonly ca_file?: string;
  /** A client certificate, and its key. */
  readonly cert_file?: string;
  readonly key_file?: string;
  /** Its token may go over plain HTTP without a word. */
  readonly insecure?: boolean;
}

export interface Contexts {
  readonly current?: string | undefined;
  readonly contexts: Readonly<Record<string, Context>>;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Undefined where there is neither a home nor a setting. */
export function contextFile(env: Env): string | undefined {
  if (env['MIGCTL_CONFIG']) return env['MIGCTL_CONFIG'];
  if (env['XDG_CONFIG_HOME']) return path.join(env['XDG_CONFIG_HOME'], 'mig', 'contexts.json');
  return env['HOME'] ? path.join(env['HOME'], '.config', 'mig', 'contexts.json') : undefined;
}

/** No file is no contexts. @throws CliError if it cannot be read, is none, or others can read it too */
export function readContexts(env: Env): Contexts {
  const file = contextFile(env);
  const none: Contexts = { contexts: {} };
  if (file === undefined) return none;
  let text: string;
  try {
    const { mode } = statSync(file);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new CliError(
        'open-contexts',
        `${file} holds tokens, and others than you can read it`,
        EXIT.failed,
        `chmod 600 ${file}; if others may have read it, have the tokens revoked`,
      );
    }
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof CliError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return none;
    throw unreadable(file, errorMessage(error));
  }
  try {
    const content = JSON.parse(text) as Partial<Contexts> | null;
    const contexts = content?.contexts;
    if (typeof contexts !== 'object' || Object.values(contexts).some((one) => typeof one.server !== 'string'))
      throw new Error('it is no file of contexts');
    return { ...(typeof content?.current === 'string' ? { current: content.current } : {}), contexts };
  } catch (error) {
    throw unreadable(file, errorMessage(error));
  }
}

const unreadable = (file: string, reason: string): CliError =>
  new CliError(
    'bad-contexts',
    `${file} cannot be read (${reason})`,
    EXIT.failed,
    'remove it, and use "migctl login" again; or name another file with MIGCTL_CONFIG',
  );

/** At once or not at all; readable by this person only. @throws CliError */
export function writeContexts(env: Env, contexts: Contexts): string {
  const file = contextFile(env);
  if (file === undefined)
    throw new UsageError('there is no place for contexts: HOME is not set', 'name a file with MIGCTL_CONFIG');
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
    chmodSync(temporary, 0o600);
    renameSync(temporary, file);
    return file;
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new CliError(
      'contexts-not-written',
      `${file} cannot be written (${errorMessage(error)})`,
      EXIT.failed,
    );
  }
}
