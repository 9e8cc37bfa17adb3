/** The hooks as the runner calls them: real shells, hostile names. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  COMPLETED_HOOK,
  overriddenByDotEnv,
  STARTED_HOOK,
  unusableHooks,
  writeHooks,
  type RunnerHooks,
} from './hooks.js';
import { parseJobHint } from './job-hints.js';
import { findUser, resolveRunAs } from './user.js';

let folder: string;
let stateDirectory: string;

beforeEach(() => {
  // With what a shell would trip over.
  folder = mkdtempSync(path.join(os.tmpdir(), "mig hooks ' $(x) "));
  stateDirectory = path.join(folder, 'state');
  mkdirSync(stateDirectory, { mode: 0o700 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const own = {
  user: undefined,
  env: {},
  refused: undefined,
  command: (file: string, args: readonly string[]) => ({ file, args }),
};
const write = (configured: Record<string, string> = {}): RunnerHooks =>
  writeHooks({ stateDirectory, runAs: own, configured });

const JOB = {
  GITHUB_REPOSITORY: 'acme/web',
  GITHUB_RUN_ID: '42',
  GITHUB_RUN_ATTEMPT: '1',
  GITHUB_SHA: 'a'.repeat(40),
  GITHUB_REF_NAME: 'main',
  GITHUB_JOB: 'build',
  GITHUB_WORKFLOW: 'CI',
  RUNNER_NAME: 'vm-1',
};

/** As the runner does (actions/runner, ScriptHandlerHelpers.cs). */
function call(script: string | undefined, env: Record<string, string> = JOB, shell = 'bash') {
  return spawnSync(shell, ['-e', script ?? ''], {
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
  });
}
const lines = ({ hintsFile }: RunnerHooks): string[] =>
  readFileSync(hintsFile, 'utf8').split('\n').filter(Boolean);

describe('a hook', () => {
  it.each(['bash', 'sh'])('called by %s says which job runs, in a line that is understood', (shell) => {
    const hooks = write();
    expect(call(hooks.env[STARTED_HOOK], JOB, shell)).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(call(hooks.env[COMPLETED_HOOK], JOB, shell)).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(lines(hooks).map((line) => JSON.parse(line) as unknown)).toEqual(
      ['started', 'completed'].map((hook) => ({
        hook,
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        repository: 'acme/web',
        run_id: '42',
        run_attempt: '1',
        sha: 'a'.repeat(40),
        ref_name: 'main',
        job: 'build',
        workflow: 'CI',
        runner_name: 'vm-1',
      })),
    );
    expect(parseJobHint(lines(hooks)[0] ?? '')).toMatchObject({
      hook: 'started',
      facts: { repository: 'acme/web', runId: '42', branch: 'main', commit: 'a'.repeat(40) },
      runnerName: 'vm-1',
    });
  });

  it('in a job with nothing in its environment says nothing wrong, and does not fail', () => {
    const hooks = write();
    expect(call(hooks.env[STARTED_HOOK], {}).status).toBe(0);
    expect(JSON.parse(lines(hooks)[0] ?? '')).toMatchObject({ hook: 'started', repository: '', run_id: '' });
  });

  it('whatever a branch is called, writes one line of JSON with that name, and runs nothing of it', () => {
    const hooks = write();
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({
        unit: fc.constantFrom(
          '"',
          '\\',
          '\n',
          '\r',
          '\t',
          '$',
          '`',
          "'",
          '&',
          '%s',
          '\u0001',
          '\u007f',
          'é',
          '😀',
        ),
        maxLength: 30,
      }),
      fc.constantFrom(
        '$(touch pwned)',
        '`touch pwned`',
        '"; touch pwned; "',
        "'; touch pwned; '",
        '\\',
        '&',
        '%d%n',
      ),
    );
    fc.assert(
      fc.property(hostile, hostile, (branch, workflow) => {
        // No variable can hold a zero, nor half a character.
        fc.pre(
          [branch, workflow].every((text) => !text.includes('\0') && Buffer.from(text).toString() === text),
        );
        rmSync(hooks.hintsFile, { force: true });
        const env = { ...JOB, GITHUB_REF_NAME: branch, GITHUB_WORKFLOW: workflow };
        expect(call(hooks.env[STARTED_HOOK], env, 'sh')).toMatchObject({ status: 0, stdout: '', stderr: '' });
        const [line = '', ...others] = lines(hooks);
        expect(others).toEqual([]);
        expect(JSON.parse(line)).toMatchObject({ ref_name: branch, workflow, repository: 'acme/web' });
      }),
      { numRuns: 60, seed: 7 },
    );
    expect(existsSync('pwned')).toBe(false);
  });

  it('however long the names are, writes less than what is written at once', () => {
    const hooks = write();
    const env = Object.fromEntries(Object.keys(JOB).map((name) => [name, '\u0001"é'.repeat(5_000)]));
    expect(call(hooks.env[STARTED_HOOK], env).status).toBe(0);
    const [line = ''] = lines(hooks);
    expect(Buffer.byteLength(line)).toBeLessThan(4_096);
    expect(() => JSON.parse(line) as unknown).not.toThrow();
  });

  it('that can write nothing, or finds no program, does not fail the job', () => {
    const hooks = write();
    rmSync(path.dirname(hooks.hintsFile), { recursive: true });
    mkdirSync(path.dirname(hooks.hintsFile));
    const again = write();
    rmSync(again.hintsFile);
    mkdirSync(again.hintsFile);
    expect(call(again.env[STARTED_HOOK])).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const shell = execFileSync('which', ['sh'], { encoding: 'utf8' }).trim();
    expect(call(again.env[STARTED_HOOK], { PATH: '/nowhere' }, shell).status).toBe(0);
  });
});

describe("a hook of the operator's own", () => {
  function script(name: string, content: string): string {
    const file = path.join(folder, name);
    writeFileSync(file, content);
    chmodSync(file, 0o755);
    return file;
  }

  it('is called after ours, with what the job has, and how it ends counts', () => {
    const file = script("own 'hook'.sh", 'echo "for $GITHUB_REPOSITORY"; exit 7\n');
    const hooks = write({ [STARTED_HOOK]: file });
    expect(call(hooks.env[STARTED_HOOK])).toMatchObject({ status: 7, stdout: 'for acme/web\n' });
    expect(lines(hooks)).toHaveLength(1);
    expect(call(hooks.env[COMPLETED_HOOK]).status).toBe(0);
  });

  it('ends at its first failure, as it would with the runner', () => {
    const hooks = write({ [COMPLETED_HOOK]: script('own.sh', 'false\necho not here\n') });
    expect(call(hooks.env[COMPLETED_HOOK])).toMatchObject({ status: 1, stdout: '' });
  });
});

describe('the folder of the hooks', () => {
  it('is in the state folder, where only the MIGlet looks, if the runner is its own user', () => {
    expect(write().hintsFile).toBe(path.join(stateDirectory, 'hooks', 'runner-hooks.log'));
  });

  it('is put right, whatever a job made of it', () => {
    const { hintsFile } = write();
    rmSync(hintsFile);
    symlinkSync('/etc/passwd', hintsFile);
    expect(write().hintsFile).toBe(hintsFile);
    expect(statSync(hintsFile).size).toBe(0);
    rmSync(hintsFile);
    execFileSync('mkfifo', [hintsFile]);
    write();
    expect(statSync(hintsFile).isFile()).toBe(true);
  });

  it('has an empty file of hints if the one before was too long', () => {
    const { hintsFile } = write();
    writeFileSync(hintsFile, 'x'.repeat(2 * 1024 * 1024));
    write();
    expect(statSync(hintsFile).size).toBe(0);
  });
});

const nobody = findUser('nobody', '/etc/passwd');
const asRoot = process.getuid?.() === 0 && nobody !== undefined ? it : it.skip;

describe('with runner.user', () => {
  const runAs = () =>
    resolveRunAs({ user: 'nobody', allowRoot: false, uid: 0, searchPath: process.env['PATH'] ?? '' });

  asRoot('that user can call the hooks and not change them, and sees nothing of the state folder', () => {
    chmodSync(folder, 0o755);
    const hooks = writeHooks({ stateDirectory, runAs: runAs(), configured: {} });
    expect(path.dirname(hooks.hintsFile)).toBe(`${stateDirectory}-hooks`);
    const as = (command: string) => {
      const { file, args } = runAs().command('sh', [
        '-c',
        command,
        'sh',
        hooks.env[STARTED_HOOK] ?? '',
        stateDirectory,
      ]);
      return spawnSync(file, args, { env: { PATH: process.env['PATH'], ...JOB }, encoding: 'utf8' }).status;
    };
    expect(as('sh -e "$1"')).toBe(0);
    expect(lines(hooks)).toHaveLength(1);
    expect(as('test -w "$1"')).not.toBe(0);
    expect(as('ls "$2"')).not.toBe(0);
  });

  asRoot('who cannot come to the hooks, the MIGlet does not start', () => {
    chmodSync(folder, 0o700);
    expect(() => writeHooks({ stateDirectory, runAs: runAs(), configured: {} })).toThrow(/state_dir/);
  });

  asRoot('a folder that somebody else put there is not used', () => {
    chmodSync(folder, 0o755);
    symlinkSync('/etc', `${stateDirectory}-hooks`);
    expect(() => writeHooks({ stateDirectory, runAs: runAs(), configured: {} })).toThrow(/not a folder of/);
    expect(existsSync('/etc/runner-hooks.log')).toBe(false);
  });
});

describe("the runner's own .env", () => {
  it('says which names it takes from the MIGlet', () => {
    writeFileSync(path.join(folder, '.env'), `LANG=C\n${STARTED_HOOK}=/x.sh\n=\nnonsense\n`);
    expect(overriddenByDotEnv(folder, [STARTED_HOOK, COMPLETED_HOOK])).toEqual([STARTED_HOOK]);
    expect(overriddenByDotEnv(path.join(folder, 'nowhere'), [STARTED_HOOK])).toEqual([]);
  });
});

describe("hooks of the operator's own that cannot be called", () => {
  it('are named with their key and path', () => {
    const file = path.join(folder, "own hook's.sh");
    const hooks = (started: string, completed = '') =>
      unusableHooks({ [STARTED_HOOK]: started, [COMPLETED_HOOK]: completed }, own);
    const key = `runner.env.${STARTED_HOOK}`;
    expect(hooks(file)).toEqual([{ key, path: file, reason: expect.stringContaining('does not exist') }]);
    expect(hooks('', folder)).toEqual([
      {
        key: `runner.env.${COMPLETED_HOOK}`,
        path: folder,
        reason: expect.stringContaining('cannot be executed'),
      },
    ]);
    expect(hooks('own.sh')).toMatchObject([{ reason: expect.stringContaining('absolute') }]);
    writeFileSync(file, 'exit 0');
    expect(hooks(file, file)).toEqual([]);
    expect(unusableHooks({}, own)).toEqual([]);
  });
});
