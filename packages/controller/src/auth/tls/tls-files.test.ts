/** The files of TLS as operators and programs leave them: damaged, half written, not there, not answering. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createTestLog, type TestLog } from '../../test-log.contract.js';
import { readTlsFile } from './read-tls-file.js';
import { openTlsFiles, type TlsFiles, type TlsFilesDeps } from './tls-files.js';

const DATA = path.resolve(
  path.dirname(fileURLToPath(import.meta.url)),
  ...['..', '..', '..', '..', 'testkit', 'data', 'tls'],
);
/** It signed itself, and is good from 2026-11-21T11:52:09Z to 2126-10-28T11:52:09Z. */
const PEM = readFileSync(path.join(DATA, 'loopback-cert.pem'), 'utf8');
const KEY = readFileSync(path.join(DATA, 'loopback-key.pem'), 'utf8');
const ENDS_AT = Date.UTC(2126, 9, 28, 11, 52, 9);

let folder: string;
let clock: ManualClock;
let log: TestLog;
let files: TlsFiles | undefined;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-tls-files-'));
  writeFileSync(inFolder('cert.pem'), PEM);
  writeFileSync(inFolder('key.pem'), KEY);
  writeFileSync(inFolder('ca.pem'), PEM);
  clock = createManualClock(Date.UTC(2030, 0, 1));
  log = createTestLog();
});
afterEach(() => {
  files?.stop();
  files = undefined;
  rmSync(folder, { recursive: true, force: true });
});
const inFolder = (name: string): string => path.join(folder, name);

async function open(read?: TlsFilesDeps['read']): Promise<TlsFiles> {
  files = await openTlsFiles(
    {
      certFile: inFolder('cert.pem'),
      keyFile: inFolder('key.pem'),
      clientCaFile: inFolder('ca.pem'),
      reloadMs: 10_000,
    },
    { clock, logger: log.logger, ...(read === undefined ? {} : { read }) },
  );
  return files;
}
const events = (name: string): Record<string, unknown>[] => log.lines().filter(({ event }) => event === name);

const DAMAGES: [what: string, damage: (file: string) => void, reason: RegExp][] = [
  ['is garbage', (file) => writeFileSync(file, 'garbage'), /holds no certificate/],
  ['is empty', (file) => writeFileSync(file, ''), /holds no certificate/],
  ['is half written', (file) => truncateSync(file, 200), /cut off/],
  ['is whole, with half of another', (file) => writeFileSync(file, PEM + PEM.slice(0, 300)), /2 is cut off/],
  ['is not there', (file) => rmSync(file), /ENOENT/],
  [
    'is a folder',
    (file) => {
      rmSync(file);
      mkdirSync(file);
    },
    /no regular file/,
  ],
  [
    'is a pipe that nobody writes to',
    (file) => {
      rmSync(file);
      execFileSync('mkfifo', [file]);
    },
    /no regular file/,
  ],
  [
    'is a device, behind a link',
    (file) => {
      rmSync(file);
      symlinkSync('/dev/zero', file);
    },
    /no regular file/,
  ],
  [
    'is larger than any certificates are',
    (file) => writeFileSync(file, PEM + 'x'.repeat(2 ** 20)),
    /more than 1048576/,
  ],
];

describe('a client CA file', () => {
  it.each(DAMAGES)(
    'that %s is refused at the start, by its key and its name',
    async (_what, damage, reason) => {
      damage(inFolder('ca.pem'));
      await expect(open()).rejects.toThrow(reason);
      await expect(open()).rejects.toThrow(`tls.client_ca_file`);
      await expect(open()).rejects.toThrow(inFolder('ca.pem'));
    },
  );

  it.each(DAMAGES)(
    'that %s later is told of, on /readyz and once in the log; the one before is used, and a certificate is renewed all the same',
    async (_what, damage, reason) => {
      const { look, warnings } = await open();
      const before = files?.current;
      damage(inFolder('ca.pem'));
      await look();
      await look();
      expect(warnings()).toEqual([expect.stringMatching(reason)]);
      expect(warnings()[0]).toMatch(/authorities of clients cannot be used \(tls\.client_ca_file/);
      expect(events('certificate_refused')).toHaveLength(1);
      expect(files?.current.authorities).toBe(before?.authorities);

      writeFileSync(inFolder('cert.pem'), PEM + PEM);
      await look();
      expect(files?.current.cert).toBe(PEM + PEM);
      expect(files?.current.ca).toBe(before?.ca);

      rmSync(inFolder('ca.pem'), { recursive: true, force: true });
      writeFileSync(inFolder('ca.pem'), PEM + PEM);
      await look();
      expect(warnings()).toEqual([]);
      expect(files?.current.authorities).toHaveLength(2);
    },
  );

  it('whose authority ends within 30 days is told of, and one that has ended', async () => {
    clock.setNow(ENDS_AT - 20 * 86_400_000);
    await open();
    const warnings = (): string[] | undefined => files?.warnings();
    expect(warnings()).toEqual([
      expect.stringMatching(/authority CN=\S.* in .*ca\.pem ends at 2126-10-28T11:52:09/),
    ]);
    expect(events('certificate_ends')).toHaveLength(1);
    clock.setNow(ENDS_AT);
    expect(warnings()).toContainEqual(expect.stringMatching(/authority CN=\S.* has expired at 2126-10-28/));
  });
});

describe("the controller's own certificate", () => {
  it.each(DAMAGES.filter(([what]) => !/larger/.test(what)))(
    'that %s is refused at the start',
    async (_what, damage, reason) => {
      damage(inFolder('cert.pem'));
      await expect(open()).rejects.toThrow(reason);
      await expect(open()).rejects.toThrow('tls.cert_file');
    },
  );

  it('with the key of another is not used, and the reason names both files', async () => {
    const { look, warnings } = await open();
    const other = execFileSync(process.execPath, [
      '-e',
      "process.stdout.write(require('node:crypto').generateKeyPairSync('ec',{namedCurve:'P-256'}).privateKey.export({type:'pkcs8',format:'pem'}))",
    ]);
    writeFileSync(inFolder('key.pem'), other);
    await look();
    expect(warnings()).toEqual([expect.stringMatching(/key_file .*key\.pem is not the key of .*cert\.pem/)]);
    expect(files?.current.key.toString()).toBe(KEY);
  });

  it('that has expired is called so on /readyz and in the log at the start; one that ends within 7 days, that it ends', async () => {
    clock.setNow(ENDS_AT - 3 * 86_400_000);
    const { look, warnings } = await open();
    expect(warnings()).toContainEqual(
      expect.stringMatching(/cert\.pem ends at 2126-10-28T11:52:09.*renew it/),
    );
    clock.setNow(ENDS_AT + 1);
    await look();
    const expired = expect.stringMatching(/cert\.pem has expired at 2126-10-28T11:52:09.*clients refuse it/);
    expect(warnings()).toContainEqual(expired);
    files?.stop();
    const before = events('certificate_ends').length;
    await open();
    expect(events('certificate_ends').slice(before)).toContainEqual(
      expect.objectContaining({ msg: expired }),
    );
  });

  it('that is not valid yet is called so', async () => {
    clock.setNow(Date.UTC(2026, 0, 1));
    await open();
    expect(files?.warnings()).toContainEqual(
      expect.stringMatching(/cert\.pem is not valid before 2026-11-21/),
    );
  });
});

describe('a file system that does not answer', () => {
  it('is told of after 5 s, is waited for by one read alone, and is looked at again when it has answered', async () => {
    let answer: ((bytes: Buffer) => void) | undefined;
    let hangs = false;
    const asked: string[] = [];
    const { warnings } = await open((file) => {
      asked.push(file);
      if (!hangs) return readTlsFile(file);
      return new Promise((resolve) => (answer = resolve));
    });
    hangs = true;
    const looked = files?.look();
    await Promise.resolve();
    clock.advance(5_000);
    await looked;
    expect(warnings()).toEqual([expect.stringMatching(/tls\.cert_file .*cert\.pem does not answer/)]);
    asked.length = 0;
    for (let count = 0; count < 3; count += 1) await files?.look();
    expect(asked).toEqual([]);

    hangs = false;
    answer?.(Buffer.from(PEM));
    // What came late is not used; what is there now is read.
    writeFileSync(inFolder('cert.pem'), PEM + PEM);
    await until('it is read', async () => {
      await files?.look();
      return files?.current.cert === PEM + PEM;
    });
    expect(warnings()).toEqual([]);
  });

  it('at the start ends the start', async () => {
    const opened = open(() => new Promise(() => undefined));
    await Promise.resolve();
    clock.advance(5_000);
    await expect(opened).rejects.toThrow(/does not answer/);
  });
});
