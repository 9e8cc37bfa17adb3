/** `audit verify` as an operator runs it: over the API, and over files. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  NO_HEAD,
  formatKey,
  formatNote,
  sealEntry,
  type AuditHead,
  type AuditKey,
} from '@mig/common/domain/audit';
import { migctl, type Ran } from '../run-migctl.contract.js';

const KEY: AuditKey = { bytes: Buffer.alloc(32, 7), from: 1 };

function chain(
  targets: readonly string[],
  { after = NO_HEAD, key }: { after?: AuditHead; key?: AuditKey } = {},
): string[] {
  let head = after;
  return targets.map((target) => {
    const fact = { actor: 'operator:ann (token-1)', action: 'vm.cordon', target, from: '', detail: {} };
    const sealed = sealEntry({ ...fact, outcome: 'done' }, '2026-11-21T02:00:00.000Z', head, key);
    head = sealed.head;
    return sealed.line;
  });
}
const headOf = (line = ''): AuditHead => {
  const { seq, hash } = JSON.parse(line) as AuditHead;
  return { seq, hash };
};

const LINES = chain(['vm-1', 'vm-2', 'vm-3', 'vm-4'], { key: KEY });
const HEAD = headOf(LINES.at(-1));

describe('audit verify at a controller', () => {
  const verify = (page: object, ...args: string[]): Promise<Ran> =>
    migctl(['audit', 'verify', ...args], {
      env: { MIGCTL_CONFIG: '/nowhere/at/all' },
      fetch: () => Promise.resolve(new Response(JSON.stringify(page), { status: 200 })),
    });

  it('is done where all is there that there should be', async () => {
    const { code, stdout } = await verify({ lines: LINES, head: HEAD, first_seq: 1, faults: [] });
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining(`intact: 4 entries, 1 to 4.\nhead 4:${HEAD.hash}`),
    ]);
  });

  it.each([
    ['all entries are gone', [], 'all of its entries are missing: it should have 1 to 4'],
    ['the end was cut', LINES.slice(0, 2), 'entries 3 to 4 are missing from its end'],
    ['the beginning was cut', LINES.slice(2), 'entries 1 to 2 are missing from its beginning'],
    ['an entry was changed', LINES.with(1, LINES[1]?.replace('vm-2', 'vm-9') ?? ''), 'entry 2 was changed'],
    ['all was written anew', chain(['vm-1', 'vm-2', 'vm-9', 'vm-4']), 'entry 4 is another than'],
  ])('fails where %s', async (_, lines, reason) => {
    const { code, stderr, stdout } = await verify({ lines, head: HEAD, first_seq: 1, faults: [] });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(reason);
  });

  it('fails where the controller itself says that something is wrong', async () => {
    const { code, stderr } = await verify({
      lines: LINES,
      head: HEAD,
      first_seq: 1,
      faults: ['a file was cut'],
    });
    expect(code).toBe(1);
    expect(stderr).toContain('a file was cut');
  });

  it('fails by a head that was noted, if its entry is not there any more', async () => {
    const page = { lines: LINES.slice(2), head: HEAD, first_seq: 3, faults: [] };
    expect((await verify(page)).code).toBe(0);
    const noted = (index: number): string => {
      const { seq, hash } = headOf(LINES[index]);
      return `${seq}:${hash}`;
    };
    expect((await verify(page, '--since', noted(0))).code).toBe(1);
    expect((await verify(page, '--since', noted(1))).code).toBe(0);
    expect((await verify(page, '--since', noted(3))).code).toBe(0);
  });
});

describe('audit verify of files', () => {
  let root: string;
  let files: Record<'first' | 'second' | 'key' | 'note', string>;
  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'mig-verify-'));
    mkdirSync(path.join(root, '.audit'));
    mkdirSync(path.join(root, '.auth'));
    const audit = (seq: number): string =>
      path.join(root, '.audit', `audit-${String(seq).padStart(16, '0')}.jsonl`);
    files = {
      first: audit(1),
      second: audit(3),
      key: path.join(root, '.auth', 'audit-key'),
      note: path.join(root, '.auth', 'audit-head'),
    };
    writeFileSync(files.first, `${LINES.slice(0, 2).join('\n')}\n`);
    writeFileSync(files.second, `${LINES.slice(2).join('\n')}\n`);
    writeFileSync(files.key, formatKey(KEY));
    writeFileSync(files.note, formatNote({ first: 1, head: HEAD }));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const verify = (...args: string[]): Promise<Ran> =>
    migctl(['audit', 'verify', '--dir', path.join(root, '.audit'), ...args]);

  it('is done where all is there; without key and note it says what it cannot find', async () => {
    const whole = await verify();
    expect([whole.code, whole.stderr.includes('Without the key')]).toEqual([0, false]);
    rmSync(path.join(root, '.auth'), { recursive: true });
    const bare = await verify();
    expect([bare.code, bare.stderr.includes('Without the key')]).toEqual([0, true]);
  });

  it.each<[string, () => void, string]>([
    [
      'the first lines of a file are gone',
      () => writeFileSync(files.second, `${LINES[3] ?? ''}\n`),
      'entry 4 follows entry 2',
    ],
    [
      'the first lines of the oldest file are gone, which its name tells',
      () => {
        rmSync(path.join(root, '.auth'), { recursive: true });
        writeFileSync(files.first, `${LINES[1] ?? ''}\n`);
      },
      'does not begin with entry 1',
    ],
    ['the oldest file is gone', () => rmSync(files.first), 'entries 1 to 2 are missing from its beginning'],
    ['the newest file is gone', () => rmSync(files.second), 'entries 3 to 4 are missing from its end'],
    ['a file is empty', () => writeFileSync(files.second, ''), 'does not begin with entry 3'],
    [
      'all was written anew without the key',
      () => {
        const anew = chain(['vm-1', 'vm-9', 'vm-3', 'vm-4']);
        writeFileSync(files.first, `${anew.slice(0, 2).join('\n')}\n`);
        writeFileSync(files.second, `${anew.slice(2).join('\n')}\n`);
      },
      'it is not signed with the key of the log',
    ],
  ])('fails where %s', async (_, change, reason) => {
    change();
    const { code, stderr } = await verify();
    expect([code, stderr]).toEqual([1, expect.stringContaining(reason)]);
  });
});
