/**
 * The job hooks: two small scripts that the runner starts when a job begins and when its steps are done, and that append a line
 * of JSON about the job to a file (github-facts 1.9). They are hints, and no more: a job can write that file too, and a job that
 * is cancelled has no second hook.
 *
 * A hook that fails fails the job. So ours has nothing that can, waits for nothing, and ends with 0, whatever happens. Hooks
 * of the operator's own (ACTIONS_RUNNER_HOOK_JOB_STARTED and _COMPLETED in `runner.env`) are called from ours; how those end
 * counts, and so does how long they take.
 *
 * Scripts and file are in a folder that the runner's user can read: in the state folder, which is closed to others, if the
 * runner runs as the MIGlet's own user; beside it, as STATE_DIR-hooks, if `runner.user` is set. The scripts belong to the
 * MIGlet, so that a job of another user cannot change them; the file belongs to the runner's user.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { RunnerUserError, type RunAs, type UserEntry } from './user.js';

export const STARTED_HOOK = 'ACTIONS_RUNNER_HOOK_JOB_STARTED';
export const COMPLETED_HOOK = 'ACTIONS_RUNNER_HOOK_JOB_COMPLETED';

export interface RunnerHooks {
  /** Makes the runner call them. */
  readonly env: Readonly<Record<string, string>>;
  /** What they append to: lines of JSON (`parseJobHint`). There from the start. */
  readonly hintsFile: string;
}

export interface HooksOptions {
  readonly stateDirectory: string;
  readonly runAs: RunAs;
  /** `runner.env`, where the operator's own hooks may be. */
  readonly configured: Readonly<Record<string, string>>;
}

/** A line about a job is this long at most, by the bounds of its values: one write, which no other can tear. */
const MAX_VALUE_LENGTH = 240;

/**
 * Writes the scripts anew.
 *
 * @throws RunnerUserError if `runner.user` cannot read them, or somebody else made their folder
 * @throws the file system's error if they cannot be written
 */
export function writeHooks({ stateDirectory, runAs, configured }: HooksOptions): RunnerHooks {
  const directory = runAs.user === undefined ? path.join(stateDirectory, 'hooks') : `${stateDirectory}-hooks`;
  mkdirSync(directory, { recursive: true });
  if (runAs.user !== undefined) assertOwn(directory, runAs.user);
  // Whatever the umask is.
  chmodSync(directory, 0o755);
  const hintsFile = path.join(directory, 'runner-hooks.log');
  prepareHintsFile(hintsFile, runAs.user);
  const write = (hook: 'started' | 'completed', own: string | undefined): string => {
    const file = path.join(directory, `job-${hook}.sh`);
    writeFileSync(`${file}.tmp`, hookScript(hook, hintsFile, own));
    chmodSync(`${file}.tmp`, 0o755);
    // A job that begins now finds the old one or the new one, and never half of one.
    renameSync(`${file}.tmp`, file);
    return file;
  };
  const started = write('started', configured[STARTED_HOOK]);
  const completed = write('completed', configured[COMPLETED_HOOK]);
  if (runAs.user !== undefined) assertReachable(started, hintsFile, runAs, runAs.user);
  return { env: { [STARTED_HOOK]: started, [COMPLETED_HOOK]: completed }, hintsFile };
}

/** What root writes must not be led elsewhere by a link that another user put there. */
function assertOwn(directory: string, user: UserEntry): void {
  const stat = lstatSync(directory);
  if (stat.isDirectory() && stat.uid === process.getuid?.()) return;
  throw new RunnerUserError(
    user.name,
    `${directory} is not a folder of the MIGlet's user: remove it, or set state_dir to a folder in one that only root can write to`,
  );
}

function assertReachable(script: string, hintsFile: string, runAs: RunAs, user: UserEntry): void {
  const test = 'test -r "$1" && test -w "$2"';
  const { file, args } = runAs.command('/bin/sh', ['-c', test, 'sh', script, hintsFile]);
  const { status, stderr } = spawnSync(file, args, { env: {}, encoding: 'utf8', timeout: CHECK_MS });
  if (status === 0) return;
  throw new RunnerUserError(
    user.name,
    `runner.user ${user.name} cannot read ${script}${stderr === '' ? '' : ` (${stderr.trim()})`}: give others the right to pass every folder above it (chmod o+x), or set state_dir to a folder in /var/lib`,
  );
}

const CHECK_MS = 10_000;

/** A hook of the operator's own that cannot be called. */
export interface UnusableHook {
  /** Where it is named. */
  readonly key: string;
  readonly path: string;
  /** What is wrong, and what to do about it. */
  readonly reason: string;
}

/** A shell reads them (`ownHook`), so that they need no right to be executed. */
export function unusableHooks(configured: Readonly<Record<string, string>>, runAs: RunAs): UnusableHook[] {
  return [STARTED_HOOK, COMPLETED_HOOK].flatMap((name) => {
    const own = configured[name] ?? '';
    const reason = own === '' ? undefined : whyUnusable(own, runAs);
    return reason === undefined ? [] : [{ key: `runner.env.${name}`, path: own, reason }];
  });
}

function whyUnusable(own: string, runAs: RunAs): string | undefined {
  if (!path.isAbsolute(own))
    return 'is not an absolute path, and is looked for where the job is: write the whole path';
  const script = '[ -e "$1" ] || exit 3; [ -f "$1" ] && [ -r "$1" ] || exit 4';
  const { file, args } = runAs.command('/bin/sh', ['-c', script, 'sh', own]);
  const { status } = spawnSync(file, args, { env: {}, encoding: 'utf8', timeout: CHECK_MS });
  if (status === 3) return 'does not exist, or is in a folder that the runner cannot look into: put it there';
  if (status === 4) return "cannot be executed: it has to be a file that the runner's user can read";
  return undefined;
}

/** Empties the file if it is longer than this. A job that fills it cannot fill the disk over many jobs. */
const MAX_HINTS_BYTES = 1024 * 1024;

/** A job that runs as the MIGlet's own user may have put anything in its place. */
function prepareHintsFile(file: string, user: UserEntry | undefined): void {
  if (lstatSync(file, { throwIfNoEntry: false })?.isFile() === false) rmSync(file, { recursive: true });
  const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    if (fstatSync(descriptor).size > MAX_HINTS_BYTES) ftruncateSync(descriptor);
    if (user !== undefined) fchownSync(descriptor, user.uid, user.gid);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Names in the runner's `.env` that take the place of what the MIGlet sets (actions/runner, Program.cs `LoadAndSetEnv`): hooks
 * named there are called instead of ours, and nothing is known of a job's repository then.
 */
export function overriddenByDotEnv(runnerDirectory: string, names: readonly string[]): string[] {
  try {
    const lines = readFileSync(path.join(runnerDirectory, '.env'), 'utf8').split('\n');
    const set = new Set(
      lines.filter((line) => line.indexOf('=') > 0).map((line) => line.slice(0, line.indexOf('='))),
    );
    return names.filter((name) => set.has(name));
  } catch {
    return [];
  }
}

/**
 * The values come from outside (a branch can be called almost anything): awk reads them from the environment, where nothing
 * interprets them, and writes them as JSON strings. Their number and length keep the line below 4 KiB, one write.
 */
const hookScript = (
  hook: 'started' | 'completed',
  hintsFile: string,
  own: string | undefined,
): string => `#!/bin/sh
# Written by the MIGlet at every start: changes are lost. Tells it which job runs; ends with 0 whatever happens.
hint() {
  at=$(date -u +%Y-%m-%dT%H:%M:%SZ) || at=
  MIG_HOOK_AT=$at LC_ALL=C awk '
    function text(value, out, i, c) {
      for (i = 1; i <= length(value) && length(out) < ${MAX_VALUE_LENGTH}; i++) {
        c = substr(value, i, 1)
        if (c in escaped) out = out escaped[c]
        else out = out c
      }
      return "\\"" out "\\""
    }
    function field(name, variable) { return ",\\"" name "\\":" text(ENVIRON[variable]) }
    BEGIN {
      for (code = 1; code < 32; code++) escaped[sprintf("%c", code)] = sprintf("\\\\u%04x", code)
      escaped[sprintf("%c", 127)] = "\\\\u007f"
      escaped["\\""] = "\\\\\\""
      escaped["\\\\"] = "\\\\\\\\"
      print "{\\"hook\\":\\"${hook}\\"" field("at", "MIG_HOOK_AT") \\
        field("repository", "GITHUB_REPOSITORY") field("run_id", "GITHUB_RUN_ID") \\
        field("run_attempt", "GITHUB_RUN_ATTEMPT") field("sha", "GITHUB_SHA") \\
        field("ref_name", "GITHUB_REF_NAME") field("job", "GITHUB_JOB") \\
        field("workflow", "GITHUB_WORKFLOW") field("runner_name", "RUNNER_NAME") "}"
    }' </dev/null >>${shellQuoted(hintsFile)}
}
(hint) 2>/dev/null || :
${ownHook(own)}exit 0
`;

/** As the runner itself would call it (actions/runner, ScriptHandlerHelpers.cs). */
function ownHook(own: string | undefined): string {
  if (own === undefined || own === '') return '';
  const script = shellQuoted(own);
  if (own.endsWith('.ps1')) return `pwsh -command ". ${script.replaceAll('"', '\\"')}"\nexit $?\n`;
  return `if command -v bash >/dev/null 2>&1; then bash -e ${script}; else sh -e ${script}; fi\nexit $?\n`;
}

const shellQuoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
