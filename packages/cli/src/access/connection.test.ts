/** Which controller a command goes to, and that a token goes to no other. */
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { resolveConnection } from './connection.js';
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

describe('the file of contexts', () => {
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
