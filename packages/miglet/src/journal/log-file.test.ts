import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openLogFile, type LogFile } from './log-file.js';

let folder: string;
let file: string;
const opened: LogFile<unknown>[] = [];
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'miglet-log-'));
  file = path.join(folder, 'state', 'events.jsonl');
});
afterEach(() => {
  for (const log of opened.splice(0)) log.close();
  rmSync(folder, { recursive: true });
});

function open() {
  const result = openLogFile<unknown>(file);
  opened.push(result.log);
  return result;
}

describe('log file', () => {
  it('makes its folder, for this user only, and begins empty', () => {
    const { log, entries } = open();
    expect([entries, log.length]).toEqual([[], 0]);
    expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('an entry is in the file when append returns (I4)', () => {
    const { log } = open();
    log.append({ n: 1, text: 'a\nb' });
    expect(readFileSync(file, 'utf8')).toBe('{"n":1,"text":"a\\nb"}\n');
    expect(log.length).toBe(1);
  });

  it('gives back what was in it, in order, and goes on from there', () => {
    open().log.append({ n: 1 });
    const second = open();
    second.log.append({ n: 2 });
    const third = open();
    expect([second.entries, third.entries, third.log.length]).toEqual([[{ n: 1 }], [{ n: 1 }, { n: 2 }], 2]);
  });

  it('a line that a crash tore off is dropped, and what is written next does not stick to it', () => {
    open().log.append({ n: 1 });
    appendFileSync(file, '{"n":2,"te');
    const { log, entries } = open();
    expect(entries).toEqual([{ n: 1 }]);
    log.append({ n: 3 });
    expect(open().entries).toEqual([{ n: 1 }, { n: 3 }]);
  });

  it('an alien line between others is left out, and taken out', () => {
    const { log } = open();
    log.append({ n: 1 });
    appendFileSync(file, '\0\0\0\nnull\n7\n{"n":2}\n');
    expect(open().entries).toEqual([{ n: 1 }, { n: 2 }]);
    expect(readFileSync(file, 'utf8')).toBe('{"n":1}\n{"n":2}\n');
  });

  it('a file that is whole is gone on with, and not written anew', () => {
    open().log.append({ n: 1 });
    const { ino } = statSync(file);
    open().log.append({ n: 2 });
    expect(statSync(file).ino).toBe(ino);
  });

  it('replaces all entries at once, leaves no other file, and appends behind them', () => {
    const { log } = open();
    for (let n = 0; n < 5; n += 1) log.append({ n });
    log.replace([{ n: 4 }]);
    expect(log.length).toBe(1);
    log.append({ n: 5 });
    expect(open().entries).toEqual([{ n: 4 }, { n: 5 }]);
    expect(readdirSync(path.dirname(file))).toEqual(['events.jsonl']);
  });

  it('a half-written replacement that a crash left is not taken for the log', () => {
    open().log.append({ n: 1 });
    writeFileSync(`${file}.tmp`, '{"n":9}\n');
    expect(open().entries).toEqual([{ n: 1 }]);
  });

  it('a replacement that fails, as on a full disk, leaves the log as it was, and open', () => {
    const { log } = open();
    log.append({ n: 1 });
    mkdirSync(`${file}.tmp`);
    expect(() => log.replace([])).toThrow('EISDIR');
    rmdirSync(`${file}.tmp`);
    log.append({ n: 2 });
    expect(open().entries).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it('keeps long and wide text whole', () => {
    const text = 'ü€🚀'.repeat(50_000);
    open().log.append({ text });
    expect(open().entries).toEqual([{ text }]);
  });

  it('fails at once where it cannot read: what was journaled is not forgotten in silence', () => {
    expect(() => openLogFile(folder)).toThrow('EISDIR');
  });
});
