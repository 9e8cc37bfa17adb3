import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createEventJournal } from './event-journal.js';
import type { EventJournal } from './journal.js';
import { createMemoryLog, type MemoryLog } from './memory-log.contract.js';

const sequences = (journal: EventJournal): number[] => journal.pending().map(({ sequence }) => sequence);
const reopened = (log: MemoryLog, maxPending?: number): EventJournal =>
  createEventJournal(log, log.lines(), maxPending);

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
    expect(log.lines()).toEqual([{ kind: 'event', event }]);
    expect(reopened(log).pending()).toEqual([event]);
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
  it('the oldest that is not about a job gives way, and one notice counts how many did', () => {
    const journal = createEventJournal(undefined, [], 4);
    journal.append('job_started', {}, 1);
    for (let n = 2; n <= 8; n += 1) journal.append('draining', { n: String(n) }, n);
    const pending = journal.pending();
    expect(pending.map(({ type }) => type).filter((type) => type === 'job_started')).toHaveLength(1);
    const notices = pending.filter(({ type }) => type === 'events_dropped');
    expect(notices).toHaveLength(1);
    // Seven were not about a job; those that are left are not among the dropped.
    const left = pending.filter(({ type }) => type === 'draining').length;
    expect(Number(notices[0]?.data['count'])).toBe(7 - left);
    expect(pending.length).toBeLessThanOrEqual(5);
  });

  it('an event about a job is never given up, however many there are', () => {
    const journal = createEventJournal(undefined, [], 3);
    for (let n = 0; n < 10; n += 1) journal.append('job_completed', {}, n);
    expect(journal.pending()).toHaveLength(10);
  });

  it('the count goes on after a restart, in the same notice', () => {
    const log = createMemoryLog();
    const before = createEventJournal(log, [], 3);
    for (let n = 0; n < 6; n += 1) before.append('e', {}, n);
    const count = (journal: EventJournal) =>
      journal
        .pending()
        .filter(({ type }) => type === 'events_dropped')
        .map(({ data }) => Number(data['count']));
    const [counted = 0] = count(before);
    const after = reopened(log, 3);
    expect(after.pending()).toEqual(before.pending());
    after.append('e', {}, 7);
    expect(count(after)).toEqual([counted + 1]);
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
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const log = createMemoryLog();
        let journal = createEventJournal(log, [], 5);
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
          } else {
            const before = journal.pending();
            journal = reopened(log, 5);
            expect(journal.pending()).toEqual(before);
          }
          expect(sequences(journal)).toEqual([...sequences(journal)].sort((a, b) => a - b));
          expect(sequences(journal)).toEqual(expect.arrayContaining(jobs));
        }
      }),
      { seed: 20260703, numRuns: 200 },
    );
  });
});
