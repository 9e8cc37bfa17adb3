import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createManualClock, TEST_START } from '../../../../common/src/manual-clock.contract.js';
import {
  eventFileName,
  heartbeatFileName,
  parseHistoryFile,
  selectExpired,
  type HistoryFile,
} from './history.js';
import { createStamper, isStamp, stampTime } from './stamp.js';

describe('stamps', () => {
  it('are microseconds of UTC', () => {
    expect(createStamper(createManualClock(), undefined)()).toBe('20261121T020000.000000Z');
    expect(stampTime('20261121T020000.123456Z')).toBe(TEST_START + 123);
    for (const text of ['', '20261121T020000.123Z', 'x20261121T020000.123456Z', '20261121T020000.123456']) {
      expect(isStamp(text)).toBe(false);
    }
  });

  it('are unique and sorted whatever the clock does, also over restarts', () => {
    const jump = fc.integer({ min: -1_000_000_000, max: 1_000_000_000 });
    fc.assert(
      fc.property(fc.array(fc.tuple(jump, fc.boolean()), { minLength: 1, maxLength: 50 }), (steps) => {
        const clock = createManualClock();
        const stamps: string[] = [];
        let next = createStamper(clock, undefined);
        for (const [jumpMs, restart] of steps) {
          clock.setNow(TEST_START + jumpMs);
          if (restart) next = createStamper(clock, stamps.at(-1));
          stamps.push(next(), next());
        }
        expect(stamps.every(isStamp)).toBe(true);
        expect([...new Set(stamps)].sort()).toEqual(stamps);
      }),
      { seed: 20 },
    );
  });
});

const stamp = '20261121T020000.000000Z';

describe('names of files', () => {
  it('say what they are, whatever the type of the event', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
        fc.constantFrom('http', 'grpc'),
        (type, via) => {
          const name = eventFileName(via, type, stamp);
          expect(parseHistoryFile(name)).toEqual({ name, kind: 'event', stamp });
        },
      ),
      { seed: 21 },
    );
    const beat = heartbeatFileName(stamp);
    expect(parseHistoryFile(beat)).toEqual({ name: beat, kind: 'heartbeat', stamp });
  });

  it.each([
    'vm.json',
    'commands',
    `${stamp}.json`,
    'event-x.json',
    `event-x-${stamp}.json.bad`,
    `.event-x-${stamp}.json.1.tmp`,
    `grpc-${stamp}.json`,
  ])('%s is none', (name) => expect(parseHistoryFile(name)).toBeUndefined());
});

describe('what retention gives up (I12)', () => {
  const files = (kind: HistoryFile['kind'], count: number): HistoryFile[] => {
    const clock = createManualClock();
    const next = createStamper(clock, undefined);
    return Array.from({ length: count }, () => {
      clock.advance(1_000);
      const made = next();
      return { name: `${kind}-${made}`, kind, stamp: made };
    });
  };
  const retention = { maxAgeMs: 60_000, maxEvents: 3, maxHeartbeats: 2 };
  const now = TEST_START + 10_000;

  it('the oldest beyond the count, of each kind for itself', () => {
    const [events, beats] = [files('event', 5), files('heartbeat', 3)];
    expect(selectExpired([...events, ...beats], retention, now)).toEqual([
      ...events.slice(0, 2),
      ...beats.slice(0, 1),
    ]);
  });

  it('all that is older than the age, and nothing that is just as old', () => {
    const events = files('event', 3);
    expect(selectExpired(events, retention, TEST_START + 2_000 + 60_000)).toEqual(events.slice(0, 1));
    expect(selectExpired(events, retention, now + 86_400_000)).toEqual(events);
  });

  it('nothing, when there is room', () => {
    expect(selectExpired(files('event', 3), retention, now)).toEqual([]);
  });
});
