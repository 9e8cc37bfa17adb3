import { appendFileSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { tailFile, type Tail, type TailOptions } from './tail.js';

let folder: string;
let file: string;
let lines: [string, number][];
const tails: Tail[] = [];

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-tail-'));
  file = path.join(folder, 'output');
  writeFileSync(file, '');
  lines = [];
});
afterEach(() => {
  for (const tail of tails.splice(0)) tail.stop();
  rmSync(folder, { recursive: true });
});

function follow(options: TailOptions = { manual: true }): Tail {
  const tail = tailFile(file, (line, offset) => void lines.push([line, offset]), options);
  tails.push(tail);
  return tail;
}
const append = (text: string | Buffer): void => appendFileSync(file, text);
const texts = (): string[] => lines.map(([line]) => line);

describe('a file that is followed', () => {
  it('is read line by line, with the place after each, whatever pieces it comes in', () => {
    const tail = follow();
    const all = Buffer.from('one\nzwölf\r\n\nlast');
    for (const byte of all) {
      append(Buffer.from([byte]));
      tail.read();
    }
    expect(lines).toEqual([
      ['one', 4],
      ['zwölf', 12],
      ['', 13],
    ]);
    expect(tail.offset).toBe(13);
    append('\n');
    tail.read();
    expect(lines.at(-1)).toEqual(['last', 18]);
  });

  it('is read by itself when it changes', async () => {
    follow({});
    append('hello\n');
    await until('the line is read', () => texts().includes('hello'));
  });

  it('is read on from a place, and from its beginning if it is shorter', () => {
    append('one\ntwo\n');
    follow({ manual: true, from: 4 }).read();
    expect(texts()).toEqual(['two']);
    lines = [];
    follow({ manual: true, from: 400 }).read();
    expect(texts()).toEqual(['one', 'two']);
  });

  it('with a line without end keeps its beginning only, and reads the next one (I12)', () => {
    const tail = follow();
    append(Buffer.alloc(300_000, 'x'));
    tail.read();
    append('\nnext\n');
    tail.read();
    expect(texts().map((text) => text.length)).toEqual([16 * 1024, 4]);
    expect(tail.offset).toBe(300_006);
  });

  it('that somebody empties is read from its beginning', () => {
    const tail = follow();
    append('a long line\n');
    tail.read();
    truncateSync(file);
    append('x\n');
    tail.read();
    expect(texts()).toEqual(['a long line', 'x']);
  });
});

describe('emptying', () => {
  it('happens when all is read, and what is appended afterwards is at the beginning', () => {
    const tail = follow();
    append('one\n');
    expect(tail.empty()).toBe(true);
    expect([statSync(file).size, tail.offset, texts()]).toEqual([0, 0, ['one']]);
    append('two\n');
    tail.read();
    expect(lines.at(-1)).toEqual(['two', 4]);
  });

  it('waits for the end of a line that is being written', () => {
    const tail = follow();
    append('one\ntw');
    expect(tail.empty()).toBe(false);
    append('o\n');
    expect(tail.empty()).toBe(true);
    expect(texts()).toEqual(['one', 'two']);
  });

  it('can be had at once, with all that was not read', () => {
    const tail = follow();
    append('one\ntw');
    tail.discard();
    append('three\n');
    tail.read();
    expect(texts()).toEqual(['three']);
  });
});
