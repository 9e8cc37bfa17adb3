import { beforeEach, describe, expect, it } from '@jest/globals';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import type { Finding } from './findings.js';
import { createSightings, type Sightings } from './sightings.js';
import type { RunnerRow } from './views.js';

let clock: ManualClock;
let sightings: Sightings;
const create = (graceMs: number) => createSightings(clock, { graceMs, staleMs: 1_000_000 });
beforeEach(() => {
  clock = createManualClock();
  sightings = create(0);
});

const finding = (key: string, fields: Partial<Finding> = {}): Finding => ({
  kind: 'ghost',
  row: { key, vm: undefined } as RunnerRow,
  action: 'delete',
  reason: '',
  byWord: false,
  facts: '',
  ...fields,
});
const everywhere = () => true;
const due = (): string[] => sightings.due().map((each) => each.finding.row.key);

describe('what was found', () => {
  it('is due at the second sighting, not at the first, even without a grace', () => {
    sightings.look([finding('a')], everywhere);
    expect(due()).toEqual([]);
    sightings.look([finding('a')], everywhere);
    expect(due()).toEqual(['a']);
  });

  it('is due when the grace has passed to the millisecond', () => {
    sightings = create(5_000);
    for (const [waitMs, expected] of [
      [0, []],
      [4_999, []],
      [1, ['a']],
    ] as const) {
      clock.advance(waitMs);
      sightings.look([finding('a')], everywhere);
      expect(due()).toEqual(expected);
    }
  });

  it('is not hurried or held up by a wall clock that jumps', () => {
    sightings = create(5_000);
    sightings.look([finding('a')], everywhere);
    clock.setNow(clock.now() + 86_400_000);
    sightings.look([finding('a')], everywhere);
    expect(due()).toEqual([]);
    clock.setNow(0);
    clock.advance(5_000);
    sightings.look([finding('a')], everywhere);
    expect(due()).toEqual(['a']);
  });

  it('is never due when nothing is to be done about it', () => {
    for (let round = 0; round < 5; round += 1) sightings.look([finding('a', { action: 'none' })], everywhere);
    expect(due()).toEqual([]);
    expect(sightings.open()).toMatchObject([{ count: 5 }]);
  });

  it('is gone when it is not found again, and stays where nobody looked', () => {
    sightings.look([finding('a'), finding('b')], everywhere);
    const gone = sightings.look([], ({ row }) => row.key === 'a');
    expect(gone.map((each) => each.finding.row.key)).toEqual(['a']);
    expect(sightings.open().map((each) => each.finding.row.key)).toEqual(['b']);
  });

  it('is kept up to 10,000 at a time; what is more is counted, and comes in when there is room', () => {
    const many = Array.from({ length: 10_005 }, (_, n) => finding(`runner-${n}`));
    sightings.look(many, everywhere);
    expect(sightings.open()).toHaveLength(10_000);
    expect(sightings.left).toBe(5);
    sightings.look(many.slice(10), everywhere);
    expect(sightings.open()).toHaveLength(9_995);
    expect(sightings.left).toBe(0);
  });
});
