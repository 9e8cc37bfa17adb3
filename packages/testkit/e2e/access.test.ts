/** Who gets in, as a person meets it: the demo with its controller, a MIGlet that joins, and migctl, each a process. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { VmResource } from '@mig/common/api/vm-resource';
import { until } from '@mig/testkit/github/until';
import { connectLegacyMiglet } from '@mig/testkit/legacy/legacy-miglet';
import { ROOT, run, startSystem, type Finished, type System } from './system.js';

let system: System;
beforeAll(async () => {
  system = await startSystem({ vms: 1 });
  await until('the VM is ready', () => system.demo.output().includes('ready: waits for a job'), 30_000);
}, 60_000);
afterAll(() => system.cleanUp());

const MIGCTL = path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js');
/** As another person: with a token alone, and no context. */
const as = (token: string, ...args: string[]): Promise<Finished> =>
  run(MIGCTL, [...args, '--server', system.http], { MIGCTL_TOKEN: token, MIGCTL_CONFIG: '/nowhere/at/all' })
    .finished;

describe('the newcomer', () => {
  test('types nothing: migctl is logged in by the start, with a token that only this user can read', async () => {
    const who = await system.migctl('whoami');
    expect(who.stderr).toBe('');
    expect(who.stdout).toMatch(/first-admin[\s\S]*admin of every pool[\s\S]*context +demo/);
    expect((await system.migctl('get', 'vms')).stdout).toContain('demo-vm-1');
    const file = path.join(system.dataDirectory, 'mig-e2e-contexts.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('without a login is told what to do, and sees nothing', async () => {
    const { code, stdout, stderr } = await run(MIGCTL, ['get', 'vms', '--server', system.http]).finished;
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/needs a valid credential[\s\S]*migctl login/);
  });
});

describe('a MIGlet', () => {
  test('has joined by its token: its session is in a file of its own alone, and in no log', async () => {
    const file = path.join(system.dataDirectory, 'vms', 'demo-vm-1', 'state', 'session.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { token } = JSON.parse(readFileSync(file, 'utf8')) as { token: string };
    expect(system.demo.output()).not.toContain(token);
    const audit = await system.migctl('audit', 'show', '--tail', '1000');
    expect(audit.stdout).toMatch(/done +vm\.join +vm:demo-vm-1 +demo-vm-1 +from 127\.0\.0\.1 .*method=token/);
    expect(audit.stdout).not.toContain(token);
  });

  test('that was killed comes back in its session, without joining again', async () => {
    const joins = async (): Promise<number> =>
      (await system.migctl('audit', 'show', '--tail', '1000')).stdout.split('vm.join').length - 1;
    const before = await joins();
    const [pid] = system.processes('miglet.mjs');
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await until(
      'it is back',
      async () => {
        const [now] = system.processes('miglet.mjs');
        const vm: VmResource = await system.vm('demo-vm-1');
        return now !== undefined && now !== pid && vm.link === 'connected' && vm.state === 'ready.idle';
      },
      30_000,
    );
    expect(await joins()).toBe(before);
  }, 60_000);

  test('of the original contract, without a credential, is refused', async () => {
    const endpoint = /gRPC ([^;\s]+);/.exec(system.demo.output())?.[1] ?? '';
    const miglet = connectLegacyMiglet(endpoint, { vm_id: 'old-vm', pool_id: 'old', org_id: '' });
    const { code } = await miglet.ended;
    expect(code).toBe(16);
    miglet.close();
  });
});

describe('tokens', () => {
  test('a viewer reads, and drains nothing; when its token is revoked it reads nothing', async () => {
    const made = await system.migctl(
      'token',
      'create',
      '--role',
      'viewer',
      '--name',
      'vera',
      '--expires',
      '1h',
    );
    const token = made.stdout.trim();
    expect(token).toMatch(/^mig_op_/);
    expect((await as(token, 'get', 'vms')).stdout).toContain('demo-vm-1');
    const drain = await as(token, 'drain', 'demo-vm-1');
    expect(drain.code).toBe(1);
    expect(drain.stderr).toContain('operator');
    const id = /^(token-\S+):/.exec(made.stderr)?.[1] ?? '';
    expect((await system.migctl('token', 'list')).stdout).toMatch(
      new RegExp(`${id} +vera +viewer of every pool +active`),
    );
    expect((await system.migctl('token', 'revoke', id)).code).toBe(0);
    expect((await as(token, 'get', 'vms')).code).toBe(1);
    expect((await as(token, 'whoami')).stderr).toContain('needs a valid credential');
  }, 30_000);

  test('that VMs join by are revoked with their sessions, or for those that come alone', async () => {
    const ids: string[] = [];
    for (const more of [[], ['--keep-sessions']]) {
      const made = await system.migctl('token', 'create', '--join', 'other', '--expires', '1h');
      const id = /^(token-\S+):/.exec(made.stderr)?.[1] ?? '';
      ids.push(id);
      expect((await system.migctl('token', 'revoke', ...more, id)).code).toBe(0);
    }
    const { tokens } = JSON.parse((await system.migctl('token', 'list', '-o', 'json')).stdout) as {
      tokens: { id: string; state: string; keeps_sessions?: boolean }[];
    };
    const revoked = tokens.filter(({ id, state }) => ids.includes(id) && state === 'revoked');
    expect(revoked.map((token) => token.keeps_sessions)).toEqual([false, true]);
  }, 30_000);

  test('are kept by login, and forgotten by context remove', async () => {
    const config = { MIGCTL_CONFIG: path.join(system.dataDirectory, 'ann.json') };
    const file = path.join(system.dataDirectory, 'ann-token');
    const { stdout } = await system.migctl('token', 'create', '--role', 'operator', '--name', 'ann');
    writeFileSync(file, stdout);
    const ann = (...args: string[]): Promise<Finished> => run(MIGCTL, args, config).finished;
    const login = await ann('login', '--server', system.http, '--token-file', file, '--name', 'here');
    expect(login.stdout).toContain('as ann');
    expect((await ann('whoami')).stdout).toContain(system.http);
    expect((await ann('context', 'list')).stdout).toMatch(/\* +here +http/);
    expect((await ann('context', 'remove', 'here')).code).toBe(0);
    expect(readFileSync(config.MIGCTL_CONFIG, 'utf8')).not.toContain('mig_op_');
    writeFileSync(file, 'mig_op_wrong');
    expect((await ann('login', '--server', system.http, '--token-file', file)).code).toBe(1);
    expect((await ann('context', 'list')).stdout).toBe('');
  }, 30_000);
});

describe('the audit log', () => {
  test('is intact by the controller and by its files, until a byte of it is changed', async () => {
    const verified = await system.migctl('audit', 'verify');
    expect(verified.stdout).toMatch(/intact: \d+ entries/);
    const head = /^head (\S+)$/m.exec(verified.stdout)?.[1] ?? '';
    const directory = path.join(system.dataDirectory, 'controller_data', '.audit');
    const offline = await system.migctl('audit', 'verify', '--dir', directory, '--since', head);
    expect([offline.code, offline.stderr.includes('error')]).toEqual([0, false]);
    const copy = path.join(system.dataDirectory, 'audit-copy.jsonl');
    const name = readdirSync(directory).find((file) => file.endsWith('.jsonl')) ?? '';
    const text = readFileSync(path.join(directory, name), 'utf8');
    writeFileSync(copy, text.replace('vm.join', 'vm.joim'));
    const changed = await system.migctl('audit', 'verify', '--dir', copy);
    expect(changed.code).toBe(1);
    expect(changed.stderr).toMatch(/was changed: line \d+: entry \d+ was changed/);
    writeFileSync(copy, text.split('\n').slice(0, 2).join('\n') + '\n');
    const cut = await system.migctl('audit', 'verify', '--dir', copy);
    expect([cut.code, cut.stderr]).toEqual([0, expect.stringContaining('Without the key')]);
    expect((await system.migctl('audit', 'verify', '--dir', copy, '--since', head)).code).toBe(1);
    const auth = path.join(system.dataDirectory, 'controller_data', '.auth');
    expect((await system.migctl('audit', 'verify', '--dir', copy, '--auth-dir', auth)).code).toBe(1);
  }, 30_000);
});

describe('the end of the demo', () => {
  test('takes the context with it', async () => {
    const file = path.join(system.dataDirectory, 'mig-e2e-contexts.json');
    expect((await system.stop()).code).toBe(0);
    expect(existsSync(file) && readFileSync(file, 'utf8').includes('mig_op_')).toBe(false);
  }, 30_000);

  test('leaves the current context of a person as it was, and their own context called demo', async () => {
    const dataDirectory = mkdtempSync(path.join(os.tmpdir(), 'mig-e2e-'));
    const file = path.join(dataDirectory, 'mig-e2e-contexts.json');
    const own = {
      current: 'prod',
      contexts: {
        prod: { server: 'https://mig.example', token: 'prod-token' },
        demo: { server: 'https://demo.example', token: 'demo-token' },
      },
    };
    writeFileSync(file, JSON.stringify(own), { mode: 0o600 });
    const other = await startSystem({ vms: 0, dataDirectory });
    try {
      expect(other.demo.output()).toContain('npx migctl get vms --context mig-demo');
      const config = { MIGCTL_CONFIG: file };
      const who = await run(MIGCTL, ['whoami', '--context', 'mig-demo'], config).finished;
      expect(who.stdout).toContain('first-admin');
      expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ ...own, current: 'prod' });
      await run(MIGCTL, ['context', 'use', 'mig-demo'], config).finished;
      expect((await other.stop()).code).toBe(0);
      expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(own);
    } finally {
      await other.cleanUp();
    }
  }, 60_000);
});
