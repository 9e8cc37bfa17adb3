import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createDownloadServer, LOOPBACK_CERTIFICATE, type DownloadServer } from './download-server.js';
import { startObserved } from './observed-process.js';
import { packStandInRunner } from './runner-package.js';

let folder: string;
let server: DownloadServer | undefined;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'stand-in-package-'));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(folder, { recursive: true });
});

describe('the package of a runner', () => {
  it('is called as GitHub calls it, has the checksum that it says, and holds a runner that starts', async () => {
    const packed = packStandInRunner(folder, { version: '2.340.1', os: 'linux', architecture: 'x64' });
    expect(packed.filename).toBe('actions-runner-linux-x64-2.340.1.tar.gz');
    expect(createHash('sha256').update(readFileSync(packed.file)).digest('hex')).toBe(packed.sha256);
    const runner = path.join(folder, 'runner');
    mkdirSync(runner);
    execFileSync('tar', ['-xzf', packed.file, '-C', runner]);
    const child = startObserved(path.join(runner, 'bin', 'Runner.Listener'), ['--version'], {});
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.lines).toEqual(['2.336.0']);
  });

  it('is the same bytes every time, so that its checksum can be told beforehand', () => {
    expect(packStandInRunner(folder).sha256).toBe(packStandInRunner(folder).sha256);
  });

  it('may hold what no honest package holds', () => {
    const extraEntries = [
      { name: '../evil', mode: 0o644, content: Buffer.from('evil') },
      { name: './link', mode: 0o777, linkTo: '/etc/passwd' },
    ];
    const { file } = packStandInRunner(folder, { extraEntries });
    const listed = execFileSync('tar', ['-tvPzf', file]).toString();
    expect(listed).toMatch(/\.\.\/evil\n/);
    expect(listed).toContain('./link -> /etc/passwd');
  });
});

describe('its download', () => {
  it('can break off and go on from where it was', async () => {
    const { file } = packStandInRunner(folder);
    const content = readFileSync(file);
    server = await createDownloadServer({ file });
    server.cutNextAfter(100);
    const first = await fetch(server.url);
    await expect(first.arrayBuffer()).rejects.toThrow();
    const rest = await fetch(server.url, { headers: { range: 'bytes=100-' } });
    expect(rest.status).toBe(206);
    expect(Buffer.from(await rest.arrayBuffer())).toEqual(content.subarray(100));
    server.failNext(503);
    expect((await fetch(server.url)).status).toBe(503);
    expect((await fetch(server.url)).status).toBe(200);
    expect(server.offsets).toEqual([0, 100, 0]);
  });

  it('can be had over HTTPS by who trusts its certificate', async () => {
    const { file } = packStandInRunner(folder);
    server = await createDownloadServer({ file, protocol: 'https' });
    const { url } = server;
    await expect(fetch(url)).rejects.toThrow();
    const status = await new Promise((resolve, reject) => {
      get(url, { ca: readFileSync(LOOPBACK_CERTIFICATE) }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
    expect(status).toBe(200);
  });
});
