import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { OutputLog } from '../../tasks/output-store.js';
import { openOutputLog } from './output-log.js';

const LIMITS = { segmentBytes: 1_000, headSegments: 2, tailSegments: 3 };
let folder = '';
beforeEach(() => {
  folder = path.join(mkdtempSync(path.join(os.tmpdir(), 'mig-output-')), 'task-1');
});
afterEach(() => rmSync(path.dirname(folder), { recursive: true, force: true }));

const open = (): Promise<OutputLog> =>
  openOutputLog(folder, LIMITS, (error) => {
    throw error;
  });

async function readAll(log: OutputLog, from = 0) {
  let text = '';
  let cutBytes = 0;
  const ends: number[] = [];
  for (let at = from; ;) {
    const page = await log.read(at);
    cutBytes += page.cutBytes;
    for (const { stream, data, end } of page.chunks) {
      text += stream === 'stdout' ? data.toString() : `[${data.toString()}]`;
      ends.push(end);
    }
    if (page.next === at) return { text, cutBytes, ends };
    at = page.next;
  }
}

describe('the output of a task', () => {
  it('is read as it was written, from the beginning and from every place in it', async () => {
    const log = await open();
    const parts = Array.from({ length: 60 }, (_, at) => `part ${at};`);
    for (const [at, part] of parts.entries())
      await log.append(at % 7 === 3 ? 'stderr' : 'stdout', Buffer.from(part), at + 1);
    const whole = await readAll(log);
    expect(whole.text).toBe(parts.map((part, at) => (at % 7 === 3 ? `[${part}]` : part)).join(''));
    expect(whole.cutBytes).toBe(0);
    for (const [at, end] of whole.ends.entries()) {
      const rest = await readAll(log, end);
      expect(rest.ends).toEqual(whole.ends.slice(at + 1));
    }
    await log.finish();
  });

  it('that is long loses its middle, and says how much: beginning and end are there', async () => {
    const log = await open();
    for (let at = 0; at < 100; at += 1) await log.append('stdout', Buffer.from(`${at}:`.padEnd(89, 'x')), at);
    const { text, cutBytes } = await readAll(log);
    expect(text.startsWith('0:')).toBe(true);
    expect(text).toContain('99:');
    expect(cutBytes).toBeGreaterThan(0);
    expect(text.length + cutBytes).toBe(8_900);
    expect(log.bytes).toBe(8_900);
    expect(log.cutBytes).toBe(cutBytes);
    expect(readdirSync(folder)).toHaveLength(5);
    await log.finish();
  });

  it('is there after a crash, without its torn end, and goes on after the last message that it has', async () => {
    const first = await open();
    for (let at = 1; at <= 20; at += 1)
      await first.append('stdout', Buffer.from(`${at},`.padEnd(80, '.')), at);
    await first.finish();
    const last = readdirSync(folder).sort().at(-1) ?? '';
    appendFileSync(path.join(folder, last), Buffer.from([1, 0, 0, 0, 50, 0, 0, 0, 0, 0, 21, 65, 66]));
    const again = await open();
    expect(again.lastSequence).toBe(20);
    await again.append('stdout', Buffer.from('on'), 21);
    const { text, cutBytes } = await readAll(again);
    expect(text).toMatch(/20,\.+on$/);
    expect(cutBytes).toBe(0);
    await again.finish();
  });

  it('read from a place that is none gives no garbage', async () => {
    const log = await open();
    for (let at = 0; at < 30; at += 1) await log.append('stdout', Buffer.from(`${at};`.padEnd(50, '-')), 0);
    for (const from of [1, 7, 12, 999_999, -5]) {
      const { text } = await readAll(log, from);
      expect(text).toMatch(/^(\d+;-+)*$/);
    }
    await log.finish();
  });
});
