/** Signing in as a GitHub App, against the stand-in GitHub, which checks every token as GitHub does. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rm, writeFile } from 'node:fs/promises';
import { generateKeyPairSync } from 'node:crypto';
import { createAppKey } from '@mig/testkit/github/app/app-key';
import { createTestGitHub, testAppKey, type TestGitHub } from '../test-github.contract.js';
import type { Scope } from './github-client.js';

const ACME: Scope = { kind: 'org', org: 'acme' };
const HOUR_MS = 3_600_000;

let test: TestGitHub;
beforeEach(async () => {
  test = await createTestGitHub({ auth: 'app', standIn: { otherOrganizations: ['other'] } });
});
afterEach(async () => {
  expect(test.standIn.violations()).toEqual([]);
  await test.dispose();
});

const list = (scope: Scope = ACME) => test.github.runners.list(scope, 'registration');
const app = () => {
  if (test.standIn.app === undefined) throw new Error('there is no App');
  return test.standIn.app;
};

describe('a GitHub App', () => {
  it('finds its installation and gets a token once each, however many calls are made, also at once', async () => {
    await Promise.all(Array.from({ length: 8 }, () => list()));
    await list();
    expect(test.asked('find-installation')).toBe(1);
    expect(test.asked('create-installation-token')).toBe(1);
    expect(test.github.client.status()).toMatchObject({
      auth: 'app',
      installations: [
        { name: 'app' },
        {
          name: `installation ${app().installationId('acme')} (acme)`,
          limit: 5_000,
          calls: { registration: { made: 9, putOff: 0 } },
          problem: undefined,
        },
      ],
    });
  });

  it('has a token for each organization, and for a repository that of its owner', async () => {
    await list();
    await list({ kind: 'org', org: 'other' });
    await list({ kind: 'repo', owner: 'acme', repo: 'shop' });
    expect(test.asked('find-installation')).toBe(3);
    expect(test.asked('create-installation-token')).toBe(2);
    expect(test.github.client.status().installations).toHaveLength(3);
  });

  it('is not looked for where its installation is configured', async () => {
    const github = test.create({ github: { installation_id: app().installationId('acme') } });
    await github.runners.list(ACME, 'listing');
    expect(test.asked('find-installation')).toBe(0);
  });

  it('takes a new token before the old one ends, after an hour', async () => {
    await list();
    test.clock.advance(HOUR_MS - 5 * 60_000 - 1);
    await list();
    expect(test.asked('create-installation-token')).toBe(1);
    test.clock.advance(1);
    await list();
    expect(test.asked('create-installation-token')).toBe(2);
  });

  it('goes on with another token within the same call when GitHub has revoked the one that it had', async () => {
    await list();
    app().revokeTokens();
    await expect(list()).resolves.toEqual([]);
  });

  it('goes on when it was removed and installed again, under another id', async () => {
    await list();
    app().uninstall('acme');
    app().install('acme');
    await expect(list()).resolves.toEqual([]);
  });

  it('that is not installed says where, and is found when it has been installed', async () => {
    await list();
    app().uninstall('acme');
    await expect(list()).rejects.toMatchObject({
      failure: 'credentials',
      message: expect.stringMatching(
        /the App 4711 is not installed at orgs\/acme.*: install it there/,
      ) as unknown,
    });
    app().install('acme');
    await expect(list()).resolves.toEqual([]);
  });

  it('that is suspended says so, and goes on when it is not any more', async () => {
    await list();
    app().suspend('acme');
    await expect(list()).rejects.toMatchObject({
      failure: 'credentials',
      message: expect.stringContaining('suspended') as unknown,
    });
    expect(test.github.client.status().installations.some(({ problem }) => problem !== undefined)).toBe(true);
    app().unsuspend('acme');
    await expect(list()).resolves.toEqual([]);
  });

  it('takes a rotated key without a restart', async () => {
    await list();
    const next = createAppKey();
    app().setKeys([next.publicKey]);
    app().revokeTokens();
    await expect(list()).rejects.toMatchObject({
      failure: 'credentials',
      message: expect.stringContaining(`the key in ${test.keyFile} (github.private_key_file)`) as unknown,
    });
    await writeFile(test.keyFile, next.privateKey);
    await expect(list()).resolves.toEqual([]);
  });

  it('is taken with its client id, and with a key in the newer form (PKCS#8)', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    app().setKeys([publicKey]);
    await writeFile(test.keyFile, privateKey);
    const github = test.create({ github: { app_id: 'Iv23standin4711' } });
    await expect(github.runners.list(ACME, 'listing')).resolves.toEqual([]);
  });

  it('whose clock is wrong by an hour makes its tokens by that of GitHub', async () => {
    const skewed = await createTestGitHub({ auth: 'app', standIn: { clock: test.clock } });
    // The stand-in says the time of its machine in `date`; the client's clock stands far behind or before it.
    skewed.clock.setNow(test.clock.now() + HOUR_MS);
    test.clock.setNow(Date.now());
    await expect(skewed.github.runners.list(ACME, 'listing')).resolves.toEqual([]);
    await skewed.dispose();
  });

  it.each([
    ['is not there', () => rm(test.keyFile), /cannot be read from github\.private_key_file .*ENOENT/],
    ['is empty', () => writeFile(test.keyFile, '\n'), /is empty: put the private key of the App there/],
    [
      'is cut',
      () => writeFile(test.keyFile, testAppKey().privateKey.slice(0, 300)),
      /has no private key: put the PEM file there/,
    ],
  ])('whose key %s says so, and nothing of the key', async (_, spoil, message) => {
    await spoil();
    const failure = (await list().catch((error: unknown) => error)) as Error;
    expect(failure).toMatchObject({
      failure: 'credentials',
      message: expect.stringMatching(message) as unknown,
    });
    const said =
      JSON.stringify([failure, failure.stack, failure.cause, test.github.client.status()]) + test.log.text();
    expect(said).not.toContain(testAppKey().privateKey.split('\n')[1]);
    await writeFile(test.keyFile, testAppKey().privateKey);
    await expect(list()).resolves.toEqual([]);
  });

  it('whose key is no RSA key says what it is', async () => {
    const { privateKey } = generateKeyPairSync('ed25519', {
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    await writeFile(test.keyFile, privateKey);
    await expect(list()).rejects.toThrow(/is of type ed25519: expected the RSA key/);
  });

  it('with the id of no App is told apart from one that is not installed only by its message', async () => {
    const github = test.create({ github: { app_id: 1 } });
    await expect(github.runners.list(ACME, 'listing')).rejects.toMatchObject({
      failure: 'credentials',
      message: expect.stringContaining('github.app_id') as unknown,
    });
  });

  it('cannot manage the runners of an enterprise', async () => {
    await expect(list({ kind: 'enterprise', slug: 'corp' })).rejects.toMatchObject({
      failure: 'credentials',
      message: expect.stringContaining('set github.auth to token, with manage_runners:enterprise') as unknown,
    });
  });

  it('without a permission is told which', async () => {
    const poor = await createTestGitHub({
      auth: 'app',
      standIn: {
        app: { id: 4711, keys: [testAppKey().publicKey], permissions: { metadata: 'read', actions: 'read' } },
      },
    });
    await expect(poor.github.runners.list(ACME, 'listing')).rejects.toMatchObject({
      failure: 'refused',
      status: 403,
      message: expect.stringContaining(
        'the App needs the permission organization_self_hosted_runners=read',
      ) as unknown,
    });
    await poor.dispose();
  });

  it('calls as itself too', async () => {
    const { data } = await test.github.client.callAsApp('reconciliation', (octokit, request) =>
      octokit.rest.apps.getAuthenticated({ request }),
    );
    expect(data?.id).toBe(4711);
    expect(test.github.client.status().installations[0]).toMatchObject({
      name: 'app',
      calls: { reconciliation: { made: 1 } },
    });
  });
});
