import { describe, expect, it } from '@jest/globals';
import { createMarked } from './marked.js';
import { readProcessTable, type ProcessEntry } from './process-table.js';

const entry = (pid: number, environmentAt: string | undefined, startedAt = '5'): ProcessEntry => ({
  pid,
  startedAt,
  environmentAt,
  parentPid: 1,
  groupId: pid,
  hasTerminal: false,
});
const tableOf = (...entries: ProcessEntry[]) => new Map(entries.map((each) => [each.pid, each]));
const OWN = entry(process.pid, '70 80');

function look() {
  const asked: number[] = [];
  const marks = new Map<number, string>();
  const marked = createMarked('tree-1', (pid) => {
    asked.push(pid);
    return marks.get(pid);
  });
  return {
    marks,
    /** Who is found, and who was asked for it. */
    at(...entries: ProcessEntry[]) {
      const found = new Set<number>();
      asked.length = 0;
      marked.addTo(found, tableOf(...entries));
      return { found: [...found], asked: asked.filter((pid) => pid !== process.pid) };
    },
  };
}

describe('the mark of a tree', () => {
  it('is asked for once of each process, and of whatever takes its place', () => {
    const { marks, at } = look();
    marks.set(2_000_001, 'tree-1').set(2_000_002, 'another tree');
    const ours = entry(2_000_001, '10 20');
    const other = entry(2_000_002, '10 20');
    expect(at(OWN, ours, other)).toEqual({ found: [2_000_001], asked: [2_000_001, 2_000_002] });
    expect(at(OWN, ours, other)).toEqual({ found: [2_000_001], asked: [] });
    // Another program in the same process, with another environment.
    marks.set(2_000_002, 'tree-1');
    expect(at(OWN, ours, entry(2_000_002, '30 40'))).toEqual({
      found: [2_000_001, 2_000_002],
      asked: [2_000_002],
    });
    // Another process with the number of one that has ended.
    marks.delete(2_000_001);
    expect(at(OWN, entry(2_000_001, '10 20', '6'))).toEqual({ found: [], asked: [2_000_001] });
    // One that was away is not remembered.
    expect(at(OWN, entry(2_000_002, '30 40')).asked).toEqual([2_000_002]);
  });

  it('is not asked for where it may not be read', () => {
    expect(look().at(OWN, entry(2_000_001, ''))).toEqual({ found: [], asked: [] });
  });

  it('is asked for of everybody, every time, by a kernel that does not say where environments are', () => {
    for (const unsaid of [undefined, '']) {
      const { marks, at } = look();
      marks.set(2_000_001, 'tree-1');
      const all = [entry(process.pid, unsaid), entry(2_000_001, unsaid)];
      for (let turn = 0; turn < 2; turn += 1)
        expect(at(...all)).toEqual({ found: [2_000_001], asked: [2_000_001] });
    }
  });
});

describe('the table of processes', () => {
  const itOnLinux = process.platform === 'linux' ? it : it.skip;

  itOnLinux('says of this process where its environment is, the same each time', () => {
    const place = readProcessTable().get(process.pid)?.environmentAt;
    expect(place).toMatch(/^\d+ \d+$|^$/);
    expect(readProcessTable().get(process.pid)?.environmentAt).toBe(place);
  });
});
