/** The audit log of a controller that is a process: killed in the middle of its work, and meddled with while it runs. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { startControllerProcess, type ControllerProcess } from '@mig/testkit/system/controller-process';
import { ROOT, run, type Finished } from './system.js';

const WRITERS = 8;
const KILLS = 3;
const MIGCTL = path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js');

let folder = '';
let controller: ControllerProcess;
beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-audit-'));
  controller = await startControllerProcess({
    program: path.join(ROOT, 'packages', 'controller', 'bundle', 'controller.mjs'),
    dataDirectory: path.join(folder, 'data'),
    env: { PATH: process.env['PATH'] },
    onUnexpectedEnd: () => undefined,
  });
}, 60_000);
afterEach(async () => {
  await controller.kill();
  rmSync(folder, { recursive: true, force: true });
});

const inData = (...names: string[]): string => path.join(folder, 'data', ...names);
const tokenFile = (): string => inData('.auth', 'admin-token');
const verify = (...args: string[]): Promise<Finished> =>
  run(MIGCTL, ['audit', 'verify', '--server', controller.http, '--token-file', tokenFile(), ...args], {
    MIGCTL_CONFIG: path.join(folder, 'none.json'),
  }).finished;
const auditFiles = (): string[] =>
  readdirSync(inData('.audit'))
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .map((name) => inData('.audit', name));
const auditText = (): string =>
  auditFiles()
    .map((file) => readFileSync(file, 'utf8'))
    .join('');

/** The id of the token that was made; undefined = there was no answer. */
async function makeToken(name: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${controller.http}/api/v1/tokens`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${readFileSync(tokenFile(), 'utf8').trim()}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ kind: 'join', name, pool_id: 'p', expires_in_ms: 3_600_000 }),
    });
    return ((await response.json()) as { id: string }).id;
  } catch {
    return undefined;
  }
}

describe('a controller that is killed', () => {
  test('has every change that it answered in its audit log, which is intact', async () => {
    const answered: string[] = [];
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const target = answered.length + 30 * kill;
      const writers = Array.from({ length: WRITERS }, async (_, writer) => {
        for (;;) {
          const id = await makeToken(`w-${kill}-${writer}`);
          if (id === undefined) return;
          answered.push(id);
        }
      });
      await until('some are made', () => answered.length >= target || undefined, 60_000);
      await controller.kill();
      await Promise.all(writers);
      await controller.start();
    }
    const text = auditText();
    expect(answered.filter((id) => !text.includes(`"target":"${id}"`))).toEqual([]);
    const verified = await verify();
    expect([verified.code, verified.stderr.includes('error')]).toEqual([0, false]);
  }, 180_000);
});

describe('an audit log that is meddled with under a running controller', () => {
  const warnings = async (): Promise<string> =>
    ((await (await fetch(`${controller.http}/readyz`)).json()) as { warnings: string[] }).warnings.join();

  test.each<[string, (file: string) => void]>([
    ['removed', (file) => rmSync(file)],
    ['emptied', (file) => writeFileSync(file, '')],
    [
      'cut at its end',
      (file) => writeFileSync(file, `${readFileSync(file, 'utf8').split('\n').slice(0, -3).join('\n')}\n`),
    ],
    [
      'cut at its beginning',
      (file) => writeFileSync(file, readFileSync(file, 'utf8').split('\n').slice(2).join('\n')),
    ],
  ])(
    'when its file is %s: verify fails, /readyz warns, and what follows is kept',
    async (_, meddle) => {
      for (const name of ['a', 'b', 'c', 'd']) await makeToken(name);
      expect((await verify()).code).toBe(0);
      const [file = ''] = auditFiles();
      meddle(file);
      const verified = await verify();
      expect([verified.code, verified.stdout]).toEqual([1, '']);
      expect(verified.stderr).toContain('the audit log was changed');
      await until(
        'it is warned of',
        async () => (await warnings()).includes('audit log was changed') || undefined,
      );
      const id = await makeToken('after');
      await controller.stop();
      expect(auditText()).toContain(`"target":"${id ?? ''}"`);
      await controller.start();
      expect(auditText()).toContain(`"target":"${id ?? ''}"`);
      expect((await verify()).code).toBe(1);
      expect((await verify('--dir', inData('.audit'))).code).toBe(1);
      expect(await warnings()).toContain('audit log was changed');
    },
    60_000,
  );

  test('when an entry is changed in its place, and when every later hash is made anew: verify fails', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await makeToken(name);
    const [file = ''] = auditFiles();
    const text = readFileSync(file, 'utf8');
    const changed = text.replace('"name":"b"', '"name":"z"');
    expect(changed).not.toBe(text);
    writeFileSync(file, changed);
    expect((await verify()).stderr).toMatch(/entry 3 was changed: its hash is another/);
    let prev = '0'.repeat(64);
    const anew = changed
      .trimEnd()
      .split('\n')
      .map((line) => {
        const { hash, mac, ...entry } = JSON.parse(line) as Record<string, unknown>;
        expect(hash).toMatch(/^[0-9a-f]{64}$/);
        const body = JSON.stringify({ ...entry, prev });
        prev = createHash('sha256').update(body).digest('hex');
        return `${body.slice(0, -1)},"hash":"${prev}","mac":"${String(mac)}"}\n`;
      });
    writeFileSync(file, anew.join(''));
    const verified = await verify();
    expect([verified.code, verified.stderr]).toEqual([1, expect.stringContaining('not signed with the key')]);
    const offline = await verify('--dir', inData('.audit'));
    expect([offline.code, offline.stderr]).toEqual([1, expect.stringContaining('not signed with the key')]);
  }, 60_000);
});
