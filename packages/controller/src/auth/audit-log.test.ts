/** The audit log on a real disk: what is recorded is there, in a chain, whatever happens to the process. */
import { appendFile, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NO_HEAD, verifyChain, type AuditFact } from '@mig/common/domain/audit';
import { silentLogger } from '@mig/common/logger';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { openAuditLog, type AuditLog } from './audit-log.js';
import { throttleRefusals } from './audit-throttle.js';

let directory: string;
let log: AuditLog;
const clock = createManualClock();
const open = (options: { maxFileBytes?: number; maxFiles?: number } = {}) =>
  openAuditLog({ directory, ...options }, { clock, logger: silentLogger });
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

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'mig-audit-'));
  log = await open();
});
afterEach(async () => {
  await log.close();
  await rm(directory, { recursive: true, force: true });
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
    expect(verifyChain(await lines(), NO_HEAD)).toMatchObject({ kind: 'intact', count: 2 });
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
    expect(await log.firstSeq()).toBe(100 - kept.length + 1);
    expect(await log.read(100, 10)).toEqual(kept.slice(-1));
    expect(await log.read(await log.firstSeq(), 1)).toEqual(kept.slice(0, 1));
  });

  it('that cannot be written says so, counts what it could not keep, and tells the count when it can', async () => {
    await log.close();
    await rm(directory, { recursive: true, force: true });
    log = await open({ maxFileBytes: 1 });
    log.record(fact('vm-1'));
    await log.flushed();
    await rm(directory, { recursive: true, force: true });
    await writeFile(directory, 'no folder');
    log.record(fact('vm-2'));
    await log.flushed();
    expect(log.problem()).toContain('cannot be written');
    await rm(directory);
    await (await open()).close();
    log.record(fact('vm-3'));
    await log.flushed();
    expect(log.problem()).toBeUndefined();
    expect(await lines()).toEqual([
      expect.stringContaining('"vm-3"'),
      expect.stringMatching(/"action":"audit\.lost".*"count":"1"/),
    ]);
  });
});

describe('refusals', () => {
  it('that come by the thousand are entered one by one only at first; then they are counted', () => {
    const entered: AuditFact[] = [];
    const throttled = throttleRefusals({ record: (entry) => entered.push(entry) }, clock);
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
    const throttled = throttleRefusals({ record: (entry) => entered.push(entry) }, clock);
    for (let index = 0; index < 5_000; index += 1)
      throttled.record({ ...fact('vm-1', 'refused'), from: `10.0.${index >> 8}.${index & 255}` });
    expect(entered).toHaveLength(300);
    throttled.sweep('all');
    expect(entered.length).toBeLessThanOrEqual(300 + 1_001);
  });
});
