/** As whom the runner runs. What needs root runs only where the tests have it. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findUser, resolveRunAs, RunnerUserError, type RunAs, type RunAsOptions } from './user.js';

let folder: string;
let passwdFile: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-user-'));
  passwdFile = path.join(folder, 'passwd');
  writeFileSync(
    passwdFile,
    [
      'root:x:0:0:root:/root:/bin/bash',
      '# a comment',
      'broken:x:abc:1:::',
      'ci:x:1001:1002:CI, who runs jobs:/home/ci:/bin/bash',
      'bare:x:1003:1003:::',
      'toor:x:0:0::/root:/bin/sh',
      '',
    ].join('\n'),
  );
  writeFileSync(path.join(folder, 'setpriv'), '#!/bin/sh\n');
  chmodSync(path.join(folder, 'setpriv'), 0o755);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const resolve = (over: Partial<RunAsOptions>): RunAs =>
  resolveRunAs({ user: '', allowRoot: false, uid: 0, searchPath: folder, passwdFile, ...over });

describe('runner.user', () => {
  it('that is set, of a MIGlet that is root, is who runs its programs, with the home and the groups of that user', () => {
    const runAs = resolve({ user: 'ci' });
    expect(runAs.command('/r/config.sh', ['--name', 'a b'])).toEqual({
      file: path.join(folder, 'setpriv'),
      args: [
        '--reuid=1001',
        '--regid=1002',
        '--init-groups',
        '--inh-caps=-all',
        '--',
        '/r/config.sh',
        '--name',
        'a b',
      ],
    });
    expect(runAs.env).toEqual({ HOME: '/home/ci', USER: 'ci', LOGNAME: 'ci', SHELL: '/bin/bash' });
    expect(runAs.refused).toBeUndefined();
    expect(resolve({ user: 'bare' }).env).toMatchObject({ HOME: '/', SHELL: '/bin/sh' });
  });

  it('that is nobody of this VM is an error that says so', () => {
    expect(() => resolve({ user: 'ghost' })).toThrow(RunnerUserError);
    expect(() => resolve({ user: 'ghost' })).toThrow(/runner\.user ghost .*useradd/);
    expect(() => resolve({ user: 'broken' })).toThrow(RunnerUserError);
  });

  it('of a MIGlet that is not root is an error, unless it is that user anyway', () => {
    expect(() => resolve({ user: 'ci', uid: 1000 })).toThrow(/needs a MIGlet that runs as root/);
    expect(resolve({ user: 'ci', uid: 1001 }).command('x', ['y'])).toEqual({ file: 'x', args: ['y'] });
  });

  it('on a machine without setpriv is an error that names its package', () => {
    expect(() => resolve({ user: 'ci', searchPath: '/nowhere:relative' })).toThrow(/util-linux/);
  });

  it('that is not set leaves everything as it is', () => {
    const runAs = resolve({ uid: 1000 });
    expect(runAs).toMatchObject({ user: undefined, env: {}, refused: undefined });
    expect(runAs.command('x', ['y'])).toEqual({ file: 'x', args: ['y'] });
  });
});

describe('root', () => {
  it('runs no runner unless a key says so, and the refusal names both keys', () => {
    expect(resolve({}).refused).toMatch(/runner\.user.*runner\.allow_root/);
    expect(resolve({ allowRoot: true }).refused).toBeUndefined();
  });

  it('by another name is root', () => {
    expect(resolve({ user: 'toor' }).refused).toMatch(/runner\.allow_root/);
  });
});

const nobody = findUser('nobody', '/etc/passwd');
const asRoot = process.getuid?.() === 0 && nobody !== undefined ? it : it.skip;

describe('a program that runs as another user', () => {
  asRoot('is that user, with its groups and nothing of root', () => {
    const runAs = resolveRunAs({
      user: 'nobody',
      allowRoot: false,
      uid: 0,
      searchPath: process.env['PATH'] ?? '',
    });
    const { file, args } = runAs.command('/bin/sh', [
      '-c',
      'id -u; id -g; grep CapEff /proc/self/status; echo $HOME',
    ]);
    const { stdout } = spawnSync(file, args, {
      env: { PATH: process.env['PATH'], ...runAs.env },
      encoding: 'utf8',
    });
    expect(stdout.split('\n')).toEqual([
      String(nobody?.uid),
      String(nobody?.gid),
      'CapEff:\t0000000000000000',
      nobody?.home,
      '',
    ]);
  });
});
