/** The audit log on a real disk: what is recorded is there, in a chain, whatever happens to the process. */
import { appendFile, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  NO_HEAD,
  findMissing,
  sealEntry,
  verifyChain,
  type AuditEntry,
  type AuditFact,
} from '@mig/common/domain/audit';
import { silentLogger } from '@mig/common/logger';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { openAuditLog, type AuditLog, type DurableAudit } from './audit-log.js';
import { throttleRefusals } from './audit-throttle.js';

let directory: string;
let sealDirectory: string;
let log: AuditLog;
const clock = createManualClock();
const open = (options: { maxFileBytes?: number; maxFiles?: number } = {}) =>
  openAuditLog({ directory, sealDirectory, ...options }, { clock, logger: silentLogger });
const fact = (target: string, outcome: AuditFact['outcome'] = 'done'): AuditFact => ({
  actor: 'operator:ann',
  action: 'vm.cordon',
  target,
  from: '10.0.0.7',
  outcome,
  detail: {},
});
async function lines(): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.jsonl')).sort();
  const texts = await Promise.all(names.map((name) => readFile(path.join(directory, name), 'utf8')));
  return texts.join('').split('\n').slice(0, -1);
}

/** Ends the log, and opens it again as a controller that starts. */
async function reopen(): Promise<void> {
  await log.close();
  log = await open();
}
async function firstFile(): Promise<string> {
  const [name = ''] = (await readdir(directory)).sort();
  return path.join(directory, name);
}
async function record(...targets: string[]): Promise<void> {
  for (const target of targets) log.record(fact(target));
  await log.flushed();
}
const entered = async (action: string): Promise<AuditEntry[]> =>
  (await lines()).map((line) => JSON.parse(line) as AuditEntry).filter((entry) => entry.action === action);
/** As migctl checks it: the chain, and what there should be. */
async function verdict(): Promise<string> {
  const { first, head } = { first: log.firstSeq, head: log.head };
  const { lines: read, faults } = await log.read(first, 10_000);
  const all = read.length < (await lines()).length ? await lines() : read;
  const chain = verifyChain(all);
  const missing = chain.kind === 'broken' ? chain.reason : findMissing(all, chain, { first, head });
  return [...new Set([...(missing === undefined ? [] : [missing]), ...faults])].join('; ') || 'intact';
}

beforeEach(async () => {
  const root = await mkdtemp(path.join(os.tmpdir(), 'mig-audit-'));
  directory = path.join(root, 'log');
  sealDirectory = path.join(root, 'seal');
  log = await open();
});
afterEach(async () => {
  await log.close();
  await rm(path.dirname(directory), { recursive: true, force: true });
});

describe('the audit log', () => {
  it('has all that was recorded at once, in one chain', async () => {
    for (let index = 1; index <= 500; index += 1) log.record(fact(`vm-${index}`));
    await log.flushed();
    expect(verifyChain(await lines(), NO_HEAD)).toMatchObject({ kind: 'intact', count: 500, head: log.head });
  });

  it('goes on in the same chain after a restart', async () => {
    log.record(fact('vm-1'));
    await log.close();
    log = await open();
    log.record(fact('vm-2'));
    await log.flushed();
    expect(verifyChain(await lines(), NO_HEAD)).toMatchObject({ kind: 'intact', count: 2 });
  });

  it('goes on behind a line that a crash tore, which is kept beside it', async () => {
    log.record(fact('vm-1'));
    await log.close();
    const [name = ''] = await readdir(directory);
    await appendFile(path.join(directory, name), '{"seq":2,"at":"2026');
    log = await open();
    log.record(fact('vm-2'));
    await log.flushed();
    expect(verifyChain(await lines(), NO_HEAD)).toMatchObject({ kind: 'intact', count: 3 });
    expect(await entered('audit.torn')).toHaveLength(1);
    expect(log.faults()).toEqual([]);
    expect(await readFile(path.join(directory, `${name}.torn`), 'utf8')).toBe('{"seq":2,"at":"2026');
  });

  it('that was changed while the controller was away stays broken, and is never mended', async () => {
    for (const target of ['vm-1', 'vm-2', 'vm-3']) log.record(fact(target));
    await log.close();
    const [name = ''] = await readdir(directory);
    const file = path.join(directory, name);
    await writeFile(file, (await readFile(file, 'utf8')).replace('vm-2', 'vm-9'));
    log = await open();
    log.record(fact('vm-4'));
    await log.flushed();
    expect(verifyChain(await lines(), NO_HEAD)).toMatchObject({ kind: 'broken', line: 2 });
  });

  it('begins a new file when one is full, and removes the oldest beyond the limit; what is left is one chain', async () => {
    await log.close();
    log = await open({ maxFileBytes: 1_000, maxFiles: 3 });
    for (let index = 1; index <= 100; index += 1) {
      log.record(fact(`vm-${index}`));
      await log.flushed();
    }
    expect(await readdir(directory)).toHaveLength(3);
    const kept = await lines();
    expect(verifyChain(kept)).toMatchObject({ kind: 'intact', head: { seq: 100 } });
    expect(log.firstSeq).toBe(100 - kept.length + 1);
    expect(await log.read(100, 10)).toEqual({ lines: kept.slice(-1), faults: [] });
    expect(await log.read(log.firstSeq, 1)).toEqual({ lines: kept.slice(0, 1), faults: [] });
    await reopen();
    expect(log.faults()).toEqual([]);
  });

  it('that cannot be written says so, counts what it could not keep, and tells the count when it can', async () => {
    await rm(directory, { recursive: true, force: true });
    await writeFile(directory, 'no folder');
    expect(await log.commit(fact('vm-2'))).toBe(false);
    expect(log.problem()).toContain('cannot be written');
    await rm(directory);
    expect(await log.commit(fact('vm-3'))).toBe(true);
    expect(log.problem()).toBeUndefined();
    expect(await lines()).toEqual([
      expect.stringContaining('"vm-3"'),
      expect.stringMatching(/"action":"audit\.lost".*"count":"1"/),
    ]);
  });

  it('has an entry on the disk when whoever waits for it is told so, and many that wait share one write', async () => {
    const kept = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        expect(await log.commit(fact(`vm-${index}`))).toBe(true);
        return (await lines()).some((line) => line.includes(`"vm-${index}"`));
      }),
    );
    expect(kept).not.toContain(false);
  });
});

describe('an audit log that somebody else changed while the controller runs', () => {
  it('by removing its file is told of within a look, and goes on in another file, which a restart keeps', async () => {
    await record('vm-1', 'vm-2');
    await rm(await firstFile());
    await log.flushed();
    expect(log.faults()).toEqual([expect.stringContaining('was removed while the controller ran')]);
    await record('vm-3');
    expect(await entered('audit.broken')).toMatchObject([{ seq: 3, outcome: 'failed' }]);
    expect(await verdict()).toContain('entries 1 to 2 are missing from its beginning');
    await reopen();
    expect((await lines()).join()).toContain('"vm-3"');
    expect(await verdict()).toContain('entries 1 to 2 are missing');
    expect(log.faults()).toEqual([expect.stringContaining('its oldest files are missing')]);
  });

  it.each([
    ['the last lines', (text: string) => `${text.split('\n').slice(0, -3).join('\n')}\n`],
    ['all lines', () => ''],
  ])('by cutting %s is told of, and no number is given twice', async (_, cut) => {
    await record('vm-1', 'vm-2', 'vm-3', 'vm-4');
    const file = await firstFile();
    await writeFile(file, cut(await readFile(file, 'utf8')));
    await record('vm-5');
    expect(log.faults()).toEqual([expect.stringMatching(/has \d+ bytes, and \d+ were written/)]);
    expect(await entered('vm.cordon')).toContainEqual(expect.objectContaining({ seq: 6, target: 'vm-5' }));
    expect(await verdict()).not.toBe('intact');
  });

  it('by putting another file in its place is told of', async () => {
    await record('vm-1');
    const file = await firstFile();
    const text = await readFile(file, 'utf8');
    await rm(file);
    await writeFile(file, text);
    await log.flushed();
    expect(log.faults()).toEqual([expect.stringContaining('was replaced')]);
  });

  it('by changing an entry and making every later hash anew is told of: they have no key', async () => {
    await record('vm-1', 'vm-2', 'vm-3');
    const file = await firstFile();
    let head = NO_HEAD;
    const forged = ['vm-1', 'vm-9', 'vm-3'].map((target) => {
      const sealed = sealEntry(fact(target), '2026-11-21T02:00:00.000Z', head);
      head = sealed.head;
      return `${sealed.line}\n`;
    });
    await writeFile(file, forged.join(''));
    expect(verifyChain(await lines(), NO_HEAD).kind).toBe('intact');
    expect((await log.read(1, 10)).faults).toContainEqual(expect.stringContaining('is not signed'));
  });
});

describe('an audit log that somebody else changed while the controller was away', () => {
  beforeEach(async () => {
    await record('vm-1', 'vm-2', 'vm-3', 'vm-4');
    await log.close();
  });

  it.each([
    ['its end was cut', (text: string) => `${text.split('\n').slice(0, -3).join('\n')}\n`],
    ['all was cut', () => ''],
    ['its beginning was cut', (text: string) => text.split('\n').slice(2).join('\n')],
    ['an entry was changed', (text: string) => text.replace('vm-3', 'vm-9')],
    ['its last line was cut in two', (text: string) => text.slice(0, -20)],
  ])('where %s says so, enters it, gives no number twice, and is never intact again', async (_, change) => {
    const file = await firstFile();
    await writeFile(file, change(await readFile(file, 'utf8')));
    log = await open();
    await record('vm-5');
    expect(log.faults()).not.toEqual([]);
    expect((await entered('audit.broken')).length).toBeGreaterThan(0);
    expect((await entered('vm.cordon')).at(-1)).toMatchObject({ target: 'vm-5' });
    expect((await entered('vm.cordon')).at(-1)?.seq).toBeGreaterThan(5);
    expect(await verdict()).not.toBe('intact');
    await reopen();
    expect(await verdict()).not.toBe('intact');
  });

  it('where it was removed, whole, says so', async () => {
    await rm(directory, { recursive: true });
    log = await open();
    await record('vm-5');
    expect(log.faults()).toEqual(['all of its entries are missing: it should have 1 to 4']);
    expect(await verdict()).toContain('entries 1 to 4 are missing');
  });

  it('where its key or the note of its end was removed, says so', async () => {
    await rm(path.join(sealDirectory, 'audit-head'));
    log = await open();
    expect(log.faults()).toEqual([expect.stringContaining('audit-head) is missing')]);
    await log.close();
    await rm(path.join(sealDirectory, 'audit-key'));
    log = await open();
    expect(log.faults()).toContainEqual(expect.stringContaining('audit-key) is missing'));
  });

  it('where only the last line break is gone keeps the entry, and enters that it was mended', async () => {
    const file = await firstFile();
    await writeFile(file, (await readFile(file, 'utf8')).slice(0, -1));
    log = await open();
    await record('vm-5');
    expect(log.faults()).toEqual([]);
    expect((await entered('vm.cordon')).map((entry) => entry.target)).toEqual([
      ...['vm-1', 'vm-2', 'vm-3', 'vm-4', 'vm-5'],
    ]);
    expect(await entered('audit.mended')).toMatchObject([{ detail: { entry: '4' } }]);
    expect(await verdict()).toBe('intact');
  });

  it('by nobody, of a controller that signed nothing yet, goes on, and is signed from there', async () => {
    await rm(sealDirectory, { recursive: true });
    const file = await firstFile();
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll(/,"mac":"[0-9a-f]{64}"/g, ''));
    log = await open();
    await record('vm-5');
    expect(log.faults()).toEqual([]);
    expect(await entered('audit.signed')).toHaveLength(1);
    expect(await verdict()).toBe('intact');
  });
});

const into = (entered: AuditFact[]): DurableAudit => ({
  record: (entry) => void entered.push(entry),
  commit(entry) {
    entered.push(entry);
    return Promise.resolve(true);
  },
});

describe('refusals', () => {
  it('that come by the thousand are entered one by one only at first; then they are counted', () => {
    const entered: AuditFact[] = [];
    const throttled = throttleRefusals(into(entered), clock);
    for (let index = 0; index < 5_000; index += 1) throttled.record(fact('vm-1', 'refused'));
    throttled.record(fact('vm-2'));
    expect(entered).toHaveLength(21);
    clock.advance(60_000);
    throttled.sweep();
    expect(entered.at(-1)).toMatchObject({ target: 'vm-1', detail: { repeated: '4980' } });
    throttled.sweep('all');
    expect(entered).toHaveLength(22);
  });

  it('from ever new addresses do not push out what matters, and take no memory without end', () => {
    const entered: AuditFact[] = [];
    const throttled = throttleRefusals(into(entered), clock);
    for (let index = 0; index < 5_000; index += 1)
      throttled.record({ ...fact('vm-1', 'refused'), from: `10.0.${index >> 8}.${index & 255}` });
    expect(entered).toHaveLength(300);
    throttled.sweep('all');
    expect(entered.length).toBeLessThanOrEqual(300 + 1_001);
  });
});
