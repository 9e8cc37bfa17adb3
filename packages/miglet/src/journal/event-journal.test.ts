import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createEventJournal, type EventJournalLimits } from './event-journal.js';
import type { EventJournal, JournaledEvent } from './journal.js';
import { createMemoryLog, type MemoryLog } from './memory-log.contract.js';

const pendingOf = (journal: EventJournal): JournaledEvent[] => [...journal.pending()];
const sequences = (journal: EventJournal): number[] => pendingOf(journal).map(({ sequence }) => sequence);
const typesOf = (journal: EventJournal): string[] => pendingOf(journal).map(({ type }) => type);
const noticesOf = (journal: EventJournal): JournaledEvent['data'][] =>
  pendingOf(journal)
    .filter(({ type }) => type === 'events_dropped')
    .map(({ data }) => data);
const reopened = (log: MemoryLog, limits?: Partial<EventJournalLimits>): EventJournal =>
  createEventJournal(log, log.lines(), limits);

describe('events', () => {
  it('are numbered from 1 and wait, in order, until they are acknowledged (I4)', () => {
    const journal = createEventJournal(undefined, []);
    expect(journal.append('vm_started', { version: '1' }, 1_000)).toEqual({
      sequence: 1,
      type: 'vm_started',
      data: { version: '1' },
      at: 1_000,
    });
    journal.append('draining', {}, 2_000);
    journal.append('runner_exited', {}, 3_000);
    expect(sequences(journal)).toEqual([1, 2, 3]);
    journal.acknowledge(2);
    expect(sequences(journal)).toEqual([3]);
  });

  it('are in the log before they are handed out, and there again after a crash', () => {
    const log = createMemoryLog();
    const journal = createEventJournal(log, []);
    const event = journal.append('vm_started', {}, 1);
    expect(log.lines()).toEqual([{ kind: 'event', event, uptimeMs: 0 }]);
    expect(pendingOf(reopened(log))).toEqual([event]);
  });

  it('an older acknowledgement, or one of what was never sent, takes nothing back', () => {
    const log = createMemoryLog();
    const journal = createEventJournal(log, []);
    for (let n = 0; n < 3; n += 1) journal.append('e', {}, n);
    journal.acknowledge(2);
    journal.acknowledge(1);
    expect(sequences(journal)).toEqual([3]);
    journal.acknowledge(99);
    expect(sequences(journal)).toEqual([]);
    // The controller has seen 99 of this boot: a number below would be a duplicate for it.
    expect(journal.append('e', {}, 4).sequence).toBe(100);
  });

  it('a number is never given twice, also when everything was acknowledged and the log was written anew', () => {
    const log = createMemoryLog();
    let journal = createEventJournal(log, []);
    for (let n = 1; n <= 1_500; n += 1) {
      expect(journal.append('e', {}, n).sequence).toBe(n);
      journal.acknowledge(n);
    }
    expect(log.replacedCount).toBeGreaterThan(0);
    journal = reopened(log);
    expect(journal.append('e', {}, 0).sequence).toBe(1_501);
  });

  it('the log does not grow without end (I12)', () => {
    const log = createMemoryLog();
    const journal = createEventJournal(log, []);
    for (let n = 1; n <= 5_000; n += 1) {
      journal.append('e', {}, n);
      journal.acknowledge(n);
    }
    expect(log.length).toBeLessThanOrEqual(1_001);
  });
});

describe('too many events', () => {
  it('the oldest that is not about a job gives way, and one notice counts how many did, by which bound, of which types', () => {
    const journal = createEventJournal(undefined, [], { maxEvents: 4 });
    journal.append('job_started', {}, 1);
    for (let n = 2; n <= 8; n += 1) journal.append('draining', { n: String(n) }, n);
    expect(typesOf(journal).filter((type) => type === 'job_started')).toHaveLength(1);
    // Seven were not about a job; those that are left are not among the dropped.
    const left = typesOf(journal).filter((type) => type === 'draining').length;
    const count = String(7 - left);
    expect(noticesOf(journal)).toEqual([
      { count, limit: 'max_events', types: `draining=${count}`, replaces: expect.any(String) },
    ]);
    expect(pendingOf(journal).at(-1)?.data).toEqual({ n: '8' });
    expect(journal.pendingCount).toBeLessThanOrEqual(5);
  });

  it('what is neither about a job nor about the beginning or end of the VM goes first, however old the others are', () => {
    const journal = createEventJournal(undefined, [], { maxEvents: 6 });
    for (const type of [
      'vm_started',
      'job_started',
      'runner_exited',
      'draining',
      'runner_exited',
      'job_completed',
    ])
      journal.append(type, {}, 1);
    journal.append('runner_exited', {}, 2);
    journal.append('runner_exited', {}, 3);
    expect(typesOf(journal).slice(0, 3)).toEqual(['vm_started', 'job_started', 'job_completed']);
    for (let n = 0; n < 8; n += 1) journal.append('job_started', {}, n);
    expect(typesOf(journal)).not.toContain('vm_started');
    expect(noticesOf(journal)[0]?.['types']).toContain('vm_started=1');
  });

  it('an event about a job is never given up, however many there are', () => {
    const journal = createEventJournal(undefined, [], { maxEvents: 3, maxBytes: 100 });
    for (let n = 0; n < 10; n += 1) journal.append('job_completed', {}, n);
    expect(typesOf(journal)).toEqual(Array<string>(10).fill('job_completed'));
  });

  it('the count goes on after a restart, in the same notice, which says from where on it holds others', () => {
    const log = createMemoryLog();
    const before = createEventJournal(log, [], { maxEvents: 3 });
    for (let n = 0; n < 6; n += 1) before.append('e', {}, n);
    const counted = Number(noticesOf(before)[0]?.['count']);
    const [, first] = sequences(before);
    const after = reopened(log, { maxEvents: 3 });
    expect(pendingOf(after)).toEqual(pendingOf(before));
    after.append('f', {}, 7);
    after.append('f', {}, 8);
    expect(noticesOf(after)).toEqual([
      {
        count: String(counted + 2),
        limit: 'max_events',
        types: expect.stringMatching(/^e=\d+( f=\d+)?$/),
        replaces: expect.any(String),
      },
    ]);
    expect(Number(noticesOf(after)[0]?.['replaces'])).toBeLessThanOrEqual(first ?? 0);
  });

  it('a notice that was acknowledged is not counted again', () => {
    const journal = createEventJournal(undefined, [], { maxEvents: 3 });
    for (let n = 0; n < 6; n += 1) journal.append('e', {}, n);
    journal.acknowledge(sequences(journal).at(-1) ?? 0);
    for (let n = 0; n < 4; n += 1) journal.append('e', {}, n);
    expect(noticesOf(journal)).toEqual([{ count: '1', limit: 'max_events', types: 'e=1' }]);
  });

  it('what was dropped and the notice of it are one line: no crash parts them', () => {
    const log = createMemoryLog();
    const journal = createEventJournal(log, [], { maxEvents: 50 });
    for (let n = 0; n < 80; n += 1) journal.append('e', {}, n);
    for (let crash = 0; crash <= log.length; crash += 1) {
      const next = createEventJournal(undefined, log.lines().slice(0, crash), { maxEvents: 50 });
      const counted = Number(noticesOf(next)[0]?.['count'] ?? 0);
      const facts = typesOf(next).filter((type) => type === 'e').length;
      const appended = log
        .lines()
        .slice(0, crash)
        .filter((line) => (line as { kind: string }).kind === 'event').length;
      expect(counted + facts).toBe(appended);
    }
  });
});

describe('events that are too large, or too old', () => {
  it('beyond the bytes, the oldest go', () => {
    const journal = createEventJournal(undefined, [], { maxBytes: 10_000 });
    journal.append('job_started', {}, 0);
    for (let n = 0; n < 100; n += 1) journal.append('runner_exited', { text: 'x'.repeat(900) }, n);
    expect(JSON.stringify(pendingOf(journal)).length).toBeLessThan(12_000);
    expect(noticesOf(journal)).toMatchObject([{ limit: 'max_bytes' }]);
    expect(typesOf(journal)).toContain('job_started');
    expect(pendingOf(journal).at(-1)?.at).toBe(99);
  });

  it('beyond the age they go, but none about a job; the clock on the wall has no part in it', () => {
    let uptimeMs = 0;
    const limits = { maxAgeMs: 7_000, uptimeMs: () => uptimeMs };
    const log = createMemoryLog();
    const journal = createEventJournal(log, [], limits);
    const yearMs = 365 * 86_400_000;
    journal.append('vm_started', {}, 1_000);
    journal.append('job_started', {}, 2_000);
    uptimeMs = 5_000;
    journal.append('draining', {}, 3_000 + yearMs);
    uptimeMs = 7_000;
    journal.append('draining', {}, 4_000 - yearMs);
    expect(typesOf(journal)).toEqual(['vm_started', 'job_started', 'draining', 'draining']);
    uptimeMs = 12_001;
    const next = reopened(log, limits);
    next.append('draining', {}, 5_000);
    expect(typesOf(next)).toEqual(['job_started', 'draining', 'events_dropped', 'draining']);
    expect(noticesOf(next)).toEqual([{ count: '2', limit: 'max_age', types: 'draining=1 vm_started=1' }]);
  });
});

describe('a journal that is full', () => {
  it('is not busy with itself: an event costs about one write, and no copy of the journal', () => {
    const log = createMemoryLog();
    const journal = createEventJournal(log, []);
    for (let n = 0; n < 10_000; n += 1) journal.append('e', {}, n);
    const before = log.writeCount;
    for (let n = 0; n < 20_000; n += 1) journal.append('e', {}, n);
    expect(log.writeCount - before).toBeLessThan(20_000 * 1.05);
    expect(log.replacedCount).toBeLessThan(30);
    expect(journal.pendingCount).toBeLessThanOrEqual(10_001);
    expect(Number(noticesOf(journal)[0]?.['count'])).toBeGreaterThanOrEqual(19_999);
  });
});

describe('a disk that is full', () => {
  it('an event waits in memory, is not pending before it is written, and comes in its order (I4)', () => {
    const log = createMemoryLog();
    const journal = createEventJournal(log, []);
    journal.append('vm_started', {}, 1);
    log.space = 0;
    journal.append('job_started', {}, 2);
    journal.append('draining', {}, 3);
    expect([typesOf(journal), journal.pendingCount, journal.waitingCount]).toEqual([['vm_started'], 1, 2]);
    expect([journal.holds('draining'), journal.retry()]).toEqual([true, false]);
    log.space = 1;
    expect(journal.retry()).toBe(false);
    expect(typesOf(journal)).toEqual(['vm_started', 'job_started']);
    log.space = Infinity;
    journal.append('job_completed', {}, 4);
    expect(typesOf(journal)).toEqual(['vm_started', 'job_started', 'draining', 'job_completed']);
    expect(sequences(journal)).toEqual([1, 2, 3, 4]);
    expect(pendingOf(reopened(log))).toEqual(pendingOf(journal));
  });

  it('a controller that claims to have what waits makes no number come twice', () => {
    const log = createMemoryLog();
    const journal = createEventJournal(log, []);
    journal.append('draining', {}, 1);
    log.space = 0;
    journal.append('draining', {}, 2);
    journal.acknowledge(50);
    expect([journal.pendingCount, journal.waitingCount]).toEqual([0, 0]);
    log.space = Infinity;
    expect(journal.append('draining', {}, 3).sequence).toBe(51);
  });

  it('an acknowledgement holds, also if it cannot be noted', () => {
    const log = createMemoryLog();
    const journal = createEventJournal(log, []);
    journal.append('vm_started', {}, 1);
    log.space = 0;
    journal.append('draining', {}, 2);
    journal.acknowledge(1);
    expect([sequences(journal), journal.waitingCount]).toEqual([[], 1]);
    log.space = Infinity;
    expect(journal.retry()).toBe(true);
    expect(sequences(journal)).toEqual([2]);
    // Forgotten in a restart: the controller drops what comes twice.
    expect(sequences(reopened(log))).toEqual([1, 2]);
  });

  it('the memory is bounded too: the oldest go, but none about a job, and a notice says so (I12)', () => {
    const log = createMemoryLog();
    const journal = createEventJournal(log, []);
    journal.append('draining', {}, 0);
    log.space = 0;
    for (let n = 0; n < 5_000; n += 1) journal.append(n % 50 === 0 ? 'job_started' : 'runner_exited', {}, n);
    expect(journal.waitingCount).toBeLessThanOrEqual(1_000);
    log.space = Infinity;
    journal.retry();
    const facts = typesOf(journal);
    expect(facts[0]).toBe('draining');
    expect(facts.filter((type) => type === 'job_started')).toHaveLength(100);
    const [notice] = noticesOf(journal);
    expect(notice?.['limit']).toBe('disk_full');
    expect(Number(notice?.['count']) + facts.length - 1).toBe(5_001);
    expect(pendingOf(reopened(log))).toEqual(pendingOf(journal));
    expect(sequences(journal)).toEqual([...sequences(journal)].sort((a, b) => a - b));
  });

  it('that has no space to write the log anew is not asked for it with every event', () => {
    const log = createMemoryLog();
    const journal = createEventJournal(log, []);
    const acknowledge = (from: number, to: number): void => {
      for (let sequence = from; sequence <= to; sequence += 1) journal.acknowledge(sequence);
    };
    for (let n = 1; n <= 400; n += 1) journal.append('e', {}, n);
    acknowledge(1, 400);
    for (let n = 1; n <= 900; n += 1) journal.append('e', {}, n);
    log.space = 500;
    const before = log.writeCount;
    acknowledge(401, 800);
    expect(log.writeCount - before).toBeGreaterThan(400);
    expect(log.writeCount - before).toBeLessThan(405);
    expect(log.replacedCount).toBe(0);
    log.space = Infinity;
    for (let n = 1; n <= 300; n += 1) journal.append('e', {}, n);
    acknowledge(801, 1_000);
    expect(log.replacedCount).toBe(1);
    expect(pendingOf(reopened(log))).toEqual(pendingOf(journal));
  });

  it('a fault that is none of the disk is not hidden', () => {
    const log = {
      ...createMemoryLog(),
      append: () => {
        throw new TypeError('a bug');
      },
    };
    expect(() => createEventJournal(log, []).append('e', {}, 1)).toThrow('a bug');
  });
});

describe('whatever happens to it', () => {
  it('a journal that is opened again holds what the one before held, in rising order, and drops no job', () => {
    const action = fc.oneof(
      fc.record({
        kind: fc.constant('append' as const),
        type: fc.constantFrom('job_started', 'draining', 'runner_exited'),
      }),
      fc.record({ kind: fc.constant('acknowledge' as const), behind: fc.nat(4) }),
      fc.record({ kind: fc.constant('restart' as const) }),
      fc.record({ kind: fc.constant('disk' as const), space: fc.constantFrom(0, 1, 3, Infinity) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const log = createMemoryLog();
        let journal = createEventJournal(log, [], { maxEvents: 5 });
        let jobs: number[] = [];
        let last = 0;
        for (const [at, step] of actions.entries()) {
          if (step.kind === 'append') {
            const { sequence } = journal.append(step.type, {}, at);
            expect(sequence).toBeGreaterThan(last);
            last = sequence;
            if (step.type === 'job_started') jobs.push(sequence);
          } else if (step.kind === 'acknowledge') {
            journal.acknowledge(last - step.behind);
            jobs = jobs.filter((sequence) => sequence > last - step.behind);
          } else if (step.kind === 'disk') {
            log.space = step.space;
            if (journal.retry()) expect(journal.waitingCount).toBe(0);
          } else {
            // With a full disk, what waits is lost, and what was given up or acknowledged may come back.
            log.space = Infinity;
            journal.retry();
            const before = pendingOf(journal);
            journal = reopened(log, { maxEvents: 5 });
            const after = pendingOf(journal);
            expect(after.filter(({ sequence }) => sequence >= (before[0]?.sequence ?? last + 1))).toEqual(
              before,
            );
          }
          expect(sequences(journal)).toEqual([...sequences(journal)].sort((a, b) => a - b));
          const waits = journal.waitingCount > 0;
          if (!waits) expect(sequences(journal)).toEqual(expect.arrayContaining(jobs));
        }
      }),
      { seed: 20260703, numRuns: 200 },
    );
  });
});
