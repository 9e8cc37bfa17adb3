import { describe, expect, it } from '@jest/globals';
import { systemCliClock } from '../io.js';
import { closest } from '../suggest.js';
import { renderTable } from './table.js';
import { fit, keyValues, safe, shorten, widthOf } from './text.js';
import { formatAge } from './time.js';

const S = 1_000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;

describe('ages', () => {
  it.each([
    [-5 * S, '0s'],
    [999, '0s'],
    [119 * S, '119s'],
    [2 * M, '2m'],
    [5 * M + 30 * S, '5m30s'],
    [90 * M, '90m'],
    [3 * H + 20 * M, '3h20m'],
    [30 * H, '30h'],
    [3 * D + 4 * H, '3d4h'],
    [400 * D, '400d'],
  ])('when %i ms have passed, then it is written %s', (ms, text) => {
    expect(formatAge(ms)).toBe(text);
  });
});

describe('text from elsewhere', () => {
  it.each([
    ['plain ünïcode 日本', 'plain ünïcode 日本'],
    ['a\u001b[31mb\u001b[0mc', 'abc'],
    ['a\r\nb\tc', 'a b c'],
    ['a\u0000\u0007\u007f\u0090b', 'ab'],
    ['\u202eevil\u2066\u200b', 'evil'],
    ['\u001b]8;;http://x\u0007link\u001b]8;;\u0007', 'link'],
  ])('when it is %j, then a terminal gets %j', (text, expected) => {
    expect(safe(text)).toBe(expected);
  });

  it('when values need it, then they are quoted', () => {
    expect(keyValues({ a: 'x', b: 'two words', c: '', d: ['p', 'q'], e: 5, f: 'say "hi"' })).toBe(
      'a=x b="two words" c="" d=p,q e=5 f="say \\"hi\\""',
    );
  });

  it('when it is too long, then it ends with an ellipsis', () => {
    expect(shorten('abcdef', 4)).toBe('abc…');
    expect(shorten('abcd', 4)).toBe('abcd');
    expect(shorten('😀😀😀', 2)).toBe('😀…');
  });
});

describe('places of a terminal', () => {
  it.each([
    ['plain', 5],
    ['日本', 4],
    ['🚀 go', 5],
    ['e\u0301', 1],
    ['ünïcode', 7],
  ])('when the text is %s, then it fills %i', (text, width) => {
    expect(widthOf(text)).toBe(width);
  });

  it('when it does not fit, then it is cut between characters, and never fills more', () => {
    expect(fit('日本語', 6)).toBe('日本語');
    expect(fit('日本語', 5)).toBe('日本…');
    expect(fit('日本語', 4)).toBe('日…');
    expect(fit('abcdef', 4)).toBe('abc…');
  });

  it('when a cell of a table is wide, then the columns stay in line', () => {
    const column = { title: 'N', text: (row: string) => row };
    const table = renderTable([column, { title: 'X', text: () => 'x' }], ['日本', 'abcd']);
    expect(table).toBe('N      X\n日本   x\nabcd   x\n');
  });
});

describe('tables', () => {
  it('when 10,000 VMs are printed, then every row is there and in line', () => {
    const rows = Array.from({ length: 10_000 }, (_, index) => `vm-${index}`);
    const table = renderTable(
      [
        { title: 'NAME', text: (row) => row },
        { title: 'X', text: () => 'x' },
      ],
      rows,
    );
    const lines = table.trimEnd().split('\n');
    expect(lines).toHaveLength(10_001);
    expect(new Set(lines.map((line) => line.length))).toEqual(new Set(['vm-9999   x'.length]));
  });
});

describe('suggestions', () => {
  it.each([
    ['drian', 'drain'],
    ['evnts', 'events'],
    ['VMS', 'vms'],
    ['x', undefined],
    ['something', undefined],
  ])('when %s is typed, then %s is meant', (typed, meant) => {
    expect(closest(typed, ['drain', 'events', 'vms'])).toBe(meant);
  });
});

describe('waiting', () => {
  it('when Ctrl-C comes before or during a wait, then the wait ends at once', async () => {
    const interrupt = new AbortController();
    const waiting = systemCliClock.sleep(3_600_000, interrupt.signal);
    interrupt.abort();
    await expect(waiting).rejects.toThrow('interrupted');
    await expect(systemCliClock.sleep(3_600_000, interrupt.signal)).rejects.toThrow('interrupted');
  });

  it('when nothing happens, then it ends by itself', async () => {
    await systemCliClock.sleep(1, new AbortController().signal);
  });
});
