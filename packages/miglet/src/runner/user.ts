/**
 * The user that the runner and its jobs run as.
 *
 * With `runner.user` the MIGlet, as root, starts every program of the runner through `setpriv` (util-linux), which changes the
 * user, takes that user's groups (docker is one, often), and is replaced by the program under the same process number. The
 * state folder stays the MIGlet's own.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { MigError } from '@mig/common/errors';

/** A user as /etc/passwd has it. */
export interface UserEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

/** As whom the runner runs. */
export interface RunAs {
  /** Undefined = as whom the MIGlet runs. */
  readonly user: UserEntry | undefined;
  /** HOME, USER, LOGNAME and SHELL of that user; empty for the MIGlet's own, whose environment has them. */
  readonly env: Readonly<Record<string, string>>;
  /** What to spawn so that the program runs as that user. */
  command(file: string, args: readonly string[]): Command;
  /** Why the runner may not run as this user, for a person; undefined if it may. */
  readonly refused: string | undefined;
}

/** `runner.user` cannot be had. The MIGlet does not start. */
export class RunnerUserError extends MigError {
  constructor(
    readonly user: string,
    message: string,
  ) {
    super('runner-user', message);
  }
}

export interface RunAsOptions {
  /** `runner.user`; empty = as the MIGlet. */
  readonly user: string;
  /** `runner.allow_root`. */
  readonly allowRoot: boolean;
  /** Of the MIGlet; undefined where there are no such numbers. */
  readonly uid: number | undefined;
  /** Of the MIGlet: where `setpriv` is looked for. */
  readonly searchPath: string;
  /** Default: /etc/passwd. */
  readonly passwdFile?: string;
}

/** @throws RunnerUserError if there is no such user, or the MIGlet cannot become it */
export function resolveRunAs(options: RunAsOptions): RunAs {
  const { user: name, uid } = options;
  if (name === '') return asIs(undefined, options, uid === 0);
  const user = findUser(name, options.passwdFile ?? '/etc/passwd');
  if (user === undefined) {
    throw new RunnerUserError(
      name,
      `runner.user ${name} is not a user of this VM (/etc/passwd): make it, for example by useradd --create-home ${name}, or set runner.user`,
    );
  }
  if (user.uid === uid) return asIs(undefined, options, uid === 0);
  if (uid !== 0) {
    throw new RunnerUserError(
      name,
      `runner.user ${name} needs a MIGlet that runs as root, and this one runs as user ${uid ?? 'unknown'}: run it as root, or as ${name} without runner.user`,
    );
  }
  const setpriv = findProgram('setpriv', options.searchPath);
  if (setpriv === undefined) {
    throw new RunnerUserError(
      name,
      `runner.user ${name} needs the program setpriv, which is not in PATH: install util-linux`,
    );
  }
  const change = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', '--inh-caps=-all', '--'];
  return {
    ...asIs(user, options, user.uid === 0),
    env: { HOME: user.home, USER: user.name, LOGNAME: user.name, SHELL: user.shell },
    command: (file, args) => ({ file: setpriv, args: [...change, file, ...args] }),
  };
}

const asIs = (user: UserEntry | undefined, { allowRoot }: RunAsOptions, root: boolean): RunAs => ({
  user,
  env: {},
  command: (file, args) => ({ file, args }),
  refused:
    root && !allowRoot
      ? 'the runner would run as root, and every job with it: set runner.user to a user of this VM, or runner.allow_root to true'
      : undefined,
});

/** passwd(5): `name:password:uid:gid:comment:home:shell`. */
export function findUser(name: string, passwdFile: string): UserEntry | undefined {
  let text: string;
  try {
    text = readFileSync(passwdFile, 'utf8');
  } catch {
    return undefined;
  }
  for (const line of text.split('\n')) {
    const [entry, , uid, gid, , home, shell] = line.split(':');
    if (entry !== name || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) continue;
    return { name, uid: Number(uid), gid: Number(gid), home: home || '/', shell: shell || '/bin/sh' };
  }
  return undefined;
}

function findProgram(name: string, searchPath: string): string | undefined {
  for (const folder of searchPath.split(path.delimiter)) {
    if (!path.isAbsolute(folder)) continue;
    const file = path.join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  return undefined;
}
