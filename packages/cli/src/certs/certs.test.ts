/** `migctl certs` as a person uses it who has no authority: files that fit, and hints where they would not. */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parseCertificates } from '@mig/common/pem';
import { JumpingClock, migctl, type Ran } from '../run-migctl.contract.js';

const DAY_MS = 86_400_000;
let folder: string;
let clock: JumpingClock;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-certs-'));
  clock = new JumpingClock();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const inFolder = (name: string): string => path.join(folder, name);
const read = (name: string): string => readFileSync(inFolder(name), 'utf8');
const certificate = (name: string): X509Certificate => new X509Certificate(read(name));
const names = (name: string): string => certificate(name).subjectAltName ?? '';
const certs = (...args: string[]): Promise<Ran> => migctl(['certs', ...args], { clock });
async function done(...args: string[]): Promise<Ran> {
  const ran = await certs(...args);
  expect([ran.code, ran.stderr]).toEqual([0, '']);
  return ran;
}
const init = () => done('init', '--dir', folder);
const issue = (...args: string[]) => certs('issue', '--dir', folder, ...args);

describe('a certificate that is made', () => {
  it('is a file that can be joined with another by cat', async () => {
    await init();
    await issue('--controller', 'mig.example');
    expect(parseCertificates(read('ca.pem') + read('mig.example.pem'))).toHaveLength(2);
    for (const name of ['ca.pem', 'ca.key', 'mig.example.pem', 'mig.example.key'])
      expect(read(name)).toMatch(/[^\n]\n$/);
    expect(statSync(inFolder('mig.example.key')).mode & 0o777).toBe(0o600);
  });

  it('has a name of its own that a shell takes as it is', async () => {
    await init();
    await issue('--controller', '*.mig.example');
    expect(names('wildcard.mig.example.pem')).toBe('DNS:*.mig.example');
    await issue('--controller', '::1');
    expect(names('--1.pem')).toMatch(/^IP Address:0:0:0:0:0:0:0:1$/);
  });

  it.each([
    '10.0.0.5:443',
    'mig.example:8080',
    '[::1]',
    '[::1]:8080',
    '10.0.0.300',
    'a b',
    '-x',
    'fe80::1%eth0',
  ])('is not for %j, by whichever flag it comes: that is no name and no address', async (host) => {
    await init();
    for (const flags of [
      [`--controller=${host}`],
      ['--controller', 'mig.example', `--host=localhost,${host}`],
    ]) {
      const ran = await issue(...flags);
      expect(ran.code).toBe(2);
      expect(ran.stderr).toContain('without a port');
    }
  });

  it('does not take the name of the files of the authority', async () => {
    await init();
    for (const flags of [
      ['--operator', 'ca', '--role', 'viewer'],
      ['--vm', 'ca-next'],
      ['--controller', 'ca'],
    ]) {
      const ran = await issue(...flags);
      expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining('files of the authority')]);
    }
    expect(certificate('ca.pem').ca).toBe(true);
  });

  it('that is there already is not made again: the hint says how, and how to add a host', async () => {
    await init();
    await issue('--controller', 'mig.example', '--host', '10.0.0.5');
    const again = await issue('--controller', 'mig.example', '--host', '10.0.0.6');
    expect(again.code).toBe(2);
    expect(again.stderr).toMatch(/certs renew \S+mig\.example\.pem.*--host/);
    await done('renew', inFolder('mig.example.pem'), '--host', '10.0.0.6,10.0.0.5');
    expect(names('mig.example.pem')).toBe('DNS:mig.example, IP Address:10.0.0.5, IP Address:10.0.0.6');
    await issue('--vm', 'vm-1');
    expect((await certs('renew', inFolder('vm-1.pem'), '--host', '10.0.0.6')).code).toBe(2);
  });

  it('ends with its authority at the latest, and says so', async () => {
    await done('init', '--dir', folder, '--expires', '10d');
    const ran = await issue('--controller', 'mig.example');
    expect([ran.code, ran.stderr]).toEqual([
      0,
      expect.stringMatching(/ends when its authority does.*certs rotate/),
    ]);
    expect(certificate('mig.example.pem').validTo).toBe(certificate('ca.pem').validTo);
    clock.elapsedMs += 11 * DAY_MS;
    const late = await issue('--controller', 'late.example');
    expect([late.code, late.stderr]).toEqual([
      1,
      expect.stringMatching(/has expired[\s\S]*certs rotate begin/),
    ]);
  });
});

describe('a change of the authority', () => {
  const rotate = (step: string) => certs('rotate', step, '--dir', folder);

  it('trusts both, then signs with the next, then trusts it alone; each step says what comes next', async () => {
    await init();
    await issue('--controller', 'mig.example');
    const [old] = parseCertificates(read('ca.pem')).map((one) => one.certificate);
    const oldKey = read('ca.key');

    const begun = await rotate('begin');
    expect(begun.stdout).toMatch(/copy [\s\S]*certs rotate switch/);
    const both = parseCertificates(read('ca.pem')).map((one) => one.certificate);
    expect(both).toHaveLength(2);
    expect(both.map(({ subject }) => subject)).toEqual(['CN=MIG controller CA', 'CN=MIG controller CA 2']);
    await issue('--vm', 'vm-between');
    expect(certificate('vm-between.pem').checkIssued(both[0] as X509Certificate)).toBe(true);

    const switched = await rotate('switch');
    expect(switched.stdout).toMatch(/certs renew[\s\S]*certs rotate end/);
    expect(parseCertificates(read('ca.pem'))).toHaveLength(2);
    await done('renew', inFolder('mig.example.pem'), inFolder('vm-between.pem'));
    const [, next] = both;
    for (const name of ['mig.example.pem', 'vm-between.pem'])
      expect(certificate(name).verify((next as X509Certificate).publicKey)).toBe(true);

    await rotate('end');
    expect(parseCertificates(read('ca.pem')).map((one) => one.certificate.fingerprint256)).toEqual([
      next?.fingerprint256,
    ]);
    expect(read('ca.key')).not.toBe(oldKey);
    expect(old?.fingerprint256).not.toBe(next?.fingerprint256);
    for (const name of ['ca-next.key', 'ca-previous.key']) expect(existsSync(inFolder(name))).toBe(false);
    // It can be done again.
    await rotate('begin');
    expect(parseCertificates(read('ca.pem')).at(-1)?.certificate.subject).toBe('CN=MIG controller CA 3');
  });

  it('in another order is refused, with the step that is next', async () => {
    await init();
    for (const step of ['switch', 'end'])
      expect((await rotate(step)).stderr).toContain('the next step is `migctl certs rotate begin');
    await rotate('begin');
    for (const step of ['begin', 'end'])
      expect((await rotate(step)).stderr).toContain('the next step is `migctl certs rotate switch');
    await rotate('switch');
    for (const step of ['begin', 'switch'])
      expect((await rotate(step)).stderr).toContain('the next step is `migctl certs rotate end');
  });

  it('is what the hint names who would renew the authority, or make it again', async () => {
    await init();
    expect((await certs('renew', inFolder('ca.pem'))).stderr).toContain('certs rotate begin');
    expect((await certs('init', '--dir', folder)).stderr).toContain('certs rotate begin');
  });
});
