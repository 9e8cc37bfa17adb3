/** Which controller a command goes to, and that a token goes to no other. */
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { resolveConnection } from './connection.js';
import { migctl } from '../run-migctl.contract.js';
import { contextFile, readContexts, writeContexts } from './contexts.js';

const PROD = 'https://mig.example:8080';
const DEMO = 'http://127.0.0.1:8080';
let folder: string;
let env: Record<string, string>;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-contexts-'));
  env = { MIGCTL_CONFIG: path.join(folder, 'mig', 'contexts.json') };
  writeContexts(env, {
    current: 'prod',
    contexts: { prod: { server: PROD, token: 'prod-token' }, demo: { server: DEMO, token: 'demo-token' } },
  });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const resolve = (
  options: Parameters<typeof resolveConnection>[0] = {},
  more: Record<string, string> = {},
) => {
  const { server, token } = resolveConnection(options, { ...env, ...more });
  return { server, token };
};

describe('the controller of a command', () => {
  it('is that of the current context, unless another is named', () => {
    expect(resolve()).toEqual({ server: PROD, token: 'prod-token' });
    expect(resolve({ context: 'demo' })).toEqual({ server: DEMO, token: 'demo-token' });
    expect(resolve({}, { MIGCTL_CONTEXT: 'demo' })).toEqual({ server: DEMO, token: 'demo-token' });
    expect(resolve({}, { MIGCTL_SERVER: DEMO })).toEqual({ server: DEMO, token: 'demo-token' });
    expect(resolve({ server: '127.0.0.1:8080' })).toEqual({ server: DEMO, token: 'demo-token' });
  });

  it('without a context is the local one, without a token', () => {
    env = { MIGCTL_CONFIG: path.join(folder, 'none.json') };
    expect(resolve()).toEqual({ server: DEMO, token: undefined });
  });

  it('that no context is of gets no token of one', () => {
    for (const server of ['https://evil.example:8080', 'http://mig.example:8080', 'https://mig.example:8081'])
      expect(resolve({ server })).toEqual({ server, token: undefined });
    expect(() => resolve({ server: 'https://evil.example', context: 'prod' })).toThrow(
      'is of https://mig.example',
    );
  });

  it('gets the token that is given, before that of the context; a file before a variable', () => {
    const file = path.join(folder, 'token');
    writeFileSync(file, 'file-token\n');
    expect(resolve({}, { MIGCTL_TOKEN: 'env-token' }).token).toBe('env-token');
    expect(resolve({}, { MIGCTL_TOKEN: 'env-token', MIGCTL_TOKEN_FILE: file }).token).toBe('file-token');
    expect(resolve({ tokenFile: file }).token).toBe('file-token');
    writeFileSync(file, 'two tokens\n');
    expect(() => resolve({ tokenFile: file })).toThrow('holds no token');
    expect(() => resolve({ tokenFile: path.join(folder, 'none') })).toThrow('cannot be read');
  });

  it('under a name that no context has is an error, not another controller', () => {
    for (const context of ['staging', 'constructor', '__proto__'])
      expect(() => resolve({ context })).toThrow('there is no context');
  });
});

describe('a token over plain HTTP', () => {
  const whoami = (server: string, ...more: string[]) =>
    migctl(['whoami', '--server', server, ...more], {
      env: { ...env, MIGCTL_TOKEN: 'some-token' },
      fetch: () => Promise.resolve(Response.json({ name: 'ann', via: 'token', roles: { '*': 'viewer' } })),
    });

  it.each([
    ['http://mig.example:8080', true],
    ['http://10.0.0.1:8080', true],
    ['http://127.evil.example:8080', true],
    ['https://mig.example:8080', false],
    ['http://127.0.0.1:8080', false],
    ['http://localhost:8080', false],
    ['http://[::1]:8080', false],
  ])('to %s is warned of: %j', async (server, isWarned) => {
    const { code, stderr } = await whoami(server);
    expect([code, stderr.includes('warning: the token goes to')]).toEqual([0, isWarned]);
  });

  it('is warned of no more with --insecure, which login keeps in the context', async () => {
    const server = 'http://mig.example:8080';
    expect((await whoami(server, '--insecure')).stderr).toBe('');
    const kept = await migctl(['login', '--server', server, '--insecure', '--name', 'plain'], {
      env: { ...env, MIGCTL_TOKEN: 'some-token' },
      fetch: () => Promise.resolve(Response.json({ name: 'ann', via: 'token', roles: { '*': 'viewer' } })),
    });
    expect([kept.code, kept.stderr]).toEqual([0, '']);
    expect((await whoami(server)).stderr).toBe('');
  });

  it('is not warned of where nothing is sent', async () => {
    const { stderr } = await migctl(['context', 'list', '--server', 'http://mig.example'], {
      env: { ...env, MIGCTL_TOKEN: 'some-token' },
    });
    expect(stderr).toBe('');
  });
});

describe('login', () => {
  it('makes its context the current one; with --keep-current only where there is none', async () => {
    const login = (name: string, ...more: string[]) =>
      migctl(['login', '--server', DEMO, '--name', name, ...more], {
        env: { ...env, MIGCTL_TOKEN: 'some-token' },
        fetch: () => Promise.resolve(Response.json({ name: 'ann', via: 'token', roles: { '*': 'viewer' } })),
      });
    await login('other', '--keep-current');
    expect(readContexts(env).current).toBe('prod');
    await login('other');
    expect(readContexts(env).current).toBe('other');
    env = { MIGCTL_CONFIG: path.join(folder, 'new.json') };
    await login('first', '--keep-current');
    expect(readContexts(env).current).toBe('first');
  });
});

describe('the file of contexts', () => {
  it("that cannot be used is in nobody's way who gives address and token", () => {
    const file = contextFile(env) ?? '';
    chmodSync(file, 0o644);
    const given = { MIGCTL_TOKEN: 'env-token' };
    expect(resolve({ server: DEMO }, given)).toEqual({ server: DEMO, token: 'env-token' });
    writeFileSync(file, '{broken', { mode: 0o600 });
    expect(resolve({}, { ...given, MIGCTL_SERVER: PROD })).toEqual({ server: PROD, token: 'env-token' });
    for (const [options, more] of [
      [{ server: DEMO }, {}],
      [{}, given],
      [{ server: DEMO, context: 'prod' }, given],
    ] as const)
      expect(() => resolve(options, more)).toThrow(file);
  });

  it('can be read by this person alone, and is not used when others can read it', () => {
    const file = contextFile(env) ?? '';
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
    chmodSync(file, 0o644);
    expect(() => readContexts(env)).toThrow('others than you can read it');
  });

  it('that is damaged is an error that names it', () => {
    const file = contextFile(env) ?? '';
    for (const content of ['{', 'null', '{"contexts":{"a":{}}}', '[]']) {
      writeFileSync(file, content);
      expect(() => readContexts(env)).toThrow(file);
    }
  });

  it('is in the place that the system has for it', () => {
    expect(contextFile({ HOME: '/home/ann' })).toBe('/home/ann/.config/mig/contexts.json');
    expect(contextFile({ HOME: '/home/ann', XDG_CONFIG_HOME: '/x' })).toBe('/x/mig/contexts.json');
    expect(contextFile({})).toBeUndefined();
  });
});
