/** Downloads from a real TLS server that breaks off, lies, stalls and leads astray. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { download, type DownloadOptions, type DownloadOutcome } from './download.js';
import {
  createProxy,
  createReleaseServer,
  sha256,
  type Proxy,
  type ReleaseServer,
} from './release-server.contract.js';
import { TEST_CA } from './tls.contract.js';

const ARCHIVE = randomBytes(300_000);
const never = new AbortController().signal;

let folder: string;
let file: string;
let server: ReleaseServer;
let proxy: Proxy;

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-download-'));
  file = path.join(folder, 'archive');
  server = await createReleaseServer(ARCHIVE);
  proxy = await createProxy();
});
afterEach(async () => {
  await proxy.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const get = (
  options: Partial<DownloadOptions> = {},
  wanted: { url?: string; sha256?: string } = {},
  signal = never,
): Promise<DownloadOutcome> =>
  download(
    { url: server.url, sha256: sha256(server.archive), file, ...wanted },
    { env: {}, ca: TEST_CA, retryMs: 1, ...options },
    signal,
  );

const reasonOf = (outcome: DownloadOutcome): string => (outcome.kind === 'ok' ? '' : outcome.reason);

describe('a download', () => {
  it('that goes well is the file, and says how far it was', async () => {
    const seen: (readonly [number, number | undefined])[] = [];
    const outcome = await get({ onProgress: (received, total) => seen.push([received, total]) });
    expect(outcome).toEqual({ kind: 'ok', value: { bytes: ARCHIVE.length } });
    expect(readFileSync(file).equals(ARCHIVE)).toBe(true);
    expect(seen.at(-1)).toEqual([ARCHIVE.length, ARCHIVE.length]);
  });

  it('that breaks off, again and again, is taken up where it broke, and never gets a byte twice', async () => {
    server.breaks.push(100_000, 0, 50_000, 1);
    expect(await get()).toMatchObject({ kind: 'ok' });
    expect(readFileSync(file).equals(ARCHIVE)).toBe(true);
    const [first, ...others] = server.requests;
    expect(first).toMatchObject({ range: '', ifRange: '' });
    expect(others.length).toBe(4);
    for (const { range, ifRange } of others) {
      expect(range).toMatch(/^bytes=[1-9]\d*-$/);
      expect(ifRange).toBe(`"${sha256(ARCHIVE)}"`);
    }
  });

  it('whose file changes between two parts begins anew, and is the new file', async () => {
    server.breaks.push(100_000);
    const later = randomBytes(200_000);
    let changed = false;
    const outcome = await get(
      {
        onProgress: () => {
          if (changed) return;
          changed = true;
          server.archive = later;
        },
      },
      { sha256: sha256(later) },
    );
    expect(outcome).toMatchObject({ kind: 'ok', value: { bytes: later.length } });
    expect(readFileSync(file).equals(later)).toBe(true);
  });

  it('from a server that answers with another part than was asked for begins anew', async () => {
    server.breaks.push(100_000);
    server.rangeOffset = 7;
    expect(await get()).toMatchObject({ kind: 'ok' });
    expect(readFileSync(file).equals(ARCHIVE)).toBe(true);
    expect(server.requests.map(({ range }) => range !== '')).toEqual([false, true, false]);
  });

  it('from a server that names no version of the file begins anew after a break', async () => {
    server.etag = '';
    server.breaks.push(100_000);
    expect(await get()).toMatchObject({ kind: 'ok' });
    expect(server.requests.map(({ range }) => range)).toEqual(['', '']);
    expect(readFileSync(file).equals(ARCHIVE)).toBe(true);
  });

  it('is not taken up by a weak name, which may stand for other bytes', async () => {
    server.etag = 'W/"weak"';
    server.breaks.push(100_000);
    expect(await get()).toMatchObject({ kind: 'ok' });
    expect(server.requests.map(({ range }) => range)).toEqual(['', '']);
  });

  it('that breaks off for ever is given up after five attempts that bring nothing', async () => {
    server.breaks.push(...Array.from({ length: 100 }, () => 0));
    expect(await get()).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('5 attempts') });
    expect(server.requests).toHaveLength(5);
  });

  it('that brings one byte at a time is given up too', async () => {
    server.breaks.push(...Array.from({ length: 200 }, () => 1));
    expect(await get()).toMatchObject({ kind: 'retryable' });
    expect(server.requests.length).toBeLessThanOrEqual(50);
  });

  it('of a server that falls silent is not waited for, but asked again', async () => {
    server.stallAfter = 1_000;
    const onProgress = (): void => void (server.stallAfter = undefined);
    expect(await get({ silenceMs: 100, onProgress })).toMatchObject({ kind: 'ok' });
    expect(server.requests.map(({ range }) => range)).toEqual(['', 'bytes=1000-']);
  });

  it('with another checksum is a mismatch that names both', async () => {
    const outcome = await get({}, { sha256: '0'.repeat(64) });
    expect(outcome.kind).toBe('mismatch');
    expect(reasonOf(outcome)).toContain(sha256(ARCHIVE));
    expect(reasonOf(outcome)).toContain('0'.repeat(64));
  });

  it('that is longer than allowed is not written beyond it', async () => {
    server.chunked = true;
    expect(await get({ maxBytes: 100_000 })).toMatchObject({ kind: 'fatal' });
    expect(readFileSync(file).length).toBeLessThanOrEqual(100_000);
  });

  it.each([404, 403, 410])('that is answered %s is fatal, and says what to set', async (status) => {
    server.instead.push({ status });
    const outcome = await get();
    expect(outcome).toMatchObject({ kind: 'fatal', reason: expect.stringContaining(`answered ${status}`) });
    expect(reasonOf(outcome)).toContain('runner.version');
  });

  it.each([500, 502, 503, 429])('that is answered %s is tried again', async (status) => {
    server.instead.push({ status });
    expect(await get()).toMatchObject({ kind: 'ok' });
    expect(server.requests).toHaveLength(2);
  });

  it('that is not wanted any more ends at once', async () => {
    server.stallAfter = 1_000;
    const abort = new AbortController();
    const outcome = get({ onProgress: () => abort.abort() }, {}, abort.signal);
    expect(await outcome).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('given up') });
  });

  const deviceFull = existsSync('/dev/full') ? it : it.skip;
  deviceFull('that fills the disk says so, and what it needs', async () => {
    file = '/dev/full';
    expect(await get()).toMatchObject({
      kind: 'retryable',
      reason: expect.stringMatching(/disk is full: .*free space/),
    });
    expect(server.requests).toHaveLength(1);
  });

  it('that the disk does not take says which file, and why', async () => {
    file = path.join(folder, 'nowhere', 'archive');
    expect(await get()).toMatchObject({ kind: 'retryable', reason: expect.stringContaining(file) });
  });
});

describe('https', () => {
  it('is a must: an http address is not asked', async () => {
    const url = server.url.replace('https:', 'http:');
    expect(await get({}, { url })).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('not https'),
    });
    expect(server.requests).toEqual([]);
  });

  it('is a must after a redirect, too', async () => {
    server.instead.push({ status: 302, headers: { location: 'http://127.0.0.1:9/secret?sig=S3CRET' } });
    const outcome = await get();
    expect(outcome).toMatchObject({ kind: 'fatal', reason: expect.stringContaining('not https') });
    expect(reasonOf(outcome)).not.toContain('S3CRET');
  });

  it('is followed over redirects, and the first address is asked again after a break', async () => {
    const redirect = { status: 302, headers: { location: '/elsewhere?sig=1' } };
    server.instead.push(redirect);
    server.breaks.push(100_000);
    expect(await get()).toMatchObject({ kind: 'ok' });
    expect(server.requests.map((request) => request.path)).toEqual([
      '/actions-runner.tar.gz',
      '/elsewhere?sig=1',
      '/actions-runner.tar.gz',
    ]);
  });

  it('that leads in a circle is left', async () => {
    server.instead.push(
      ...Array.from({ length: 20 }, () => ({ status: 302, headers: { location: '/again' } })),
    );
    expect(await get()).toMatchObject({ kind: 'fatal', reason: expect.stringContaining('led on') });
    expect(server.requests).toHaveLength(6);
  });

  it('with a certificate that nobody known has signed is refused', async () => {
    const outcome = await download(
      { url: server.url, sha256: sha256(ARCHIVE), file },
      { env: {}, retryMs: 1 },
      never,
    );
    expect(outcome).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('not reached') });
    expect(server.requests).toEqual([]);
  });
});

describe('the proxy of the environment', () => {
  it.each(['https_proxy', 'HTTPS_PROXY'])('by %s carries it, and sees nothing of it', async (name) => {
    expect(await get({ env: { [name]: proxy.url } })).toMatchObject({ kind: 'ok' });
    expect(proxy.tunnels).toEqual([new URL(server.url).host]);
  });

  it('is not asked for what no_proxy names', async () => {
    expect(await get({ env: { https_proxy: proxy.url, no_proxy: '127.0.0.1' } })).toMatchObject({
      kind: 'ok',
    });
    expect(proxy.tunnels).toEqual([]);
  });

  it('does not make a certificate good', async () => {
    const outcome = await download(
      { url: server.url, sha256: sha256(ARCHIVE), file },
      { env: { https_proxy: proxy.url }, retryMs: 1 },
      never,
    );
    expect(outcome).toMatchObject({ kind: 'retryable' });
    expect(server.requests).toEqual([]);
  });
});
