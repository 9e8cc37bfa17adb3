import { describe, expect, it } from '@jest/globals';
import { createCommandJournal } from './command-journal.js';
import { createMemoryLog } from './memory-log.contract.js';

const DONE = { success: true, message: 'drained', result: { jobs: '3' } };

describe('commands', () => {
  it('a command is known from the moment it is taken, and its outcome when it has ended (I2)', () => {
    const journal = createCommandJournal(undefined, []);
    expect(journal.get('c1')).toBeUndefined();
    journal.take('c1', 'drain', { reason: 'x' });
    expect(journal.get('c1')).toEqual({
      id: 'c1',
      type: 'drain',
      parameters: { reason: 'x' },
      outcome: undefined,
      reported: false,
    });
    journal.finish('c1', DONE);
    journal.markReported('c1');
    expect(journal.get('c1')).toMatchObject({ outcome: DONE, reported: true });
  });

  it('survives a crash between any two steps', () => {
    const log = createMemoryLog();
    const journal = createCommandJournal(log, []);
    const states: unknown[] = [];
    journal.take('c1', 'drain', {});
    states.push(journal.all());
    journal.take('c2', 'shutdown', { force: true });
    states.push(journal.all());
    journal.finish('c1', DONE);
    states.push(journal.all());
    journal.markReported('c1');
    states.push(journal.all());
    const lines = log.lines();
    expect(
      states.map((_, index) => createCommandJournal(undefined, lines.slice(0, index + 1)).all()),
    ).toEqual(states);
  });

  it('what ends that was never taken is not made up', () => {
    const journal = createCommandJournal(undefined, []);
    journal.finish('ghost', DONE);
    journal.markReported('ghost');
    expect(journal.all()).toEqual([]);
  });

  it('keeps a bounded number of reported commands, and every one that is not (I12)', () => {
    const journal = createCommandJournal(undefined, []);
    journal.take('open', 'drain', {});
    journal.take('unreported', 'drain', {});
    journal.finish('unreported', DONE);
    for (let n = 0; n < 3_000; n += 1) {
      journal.take(`c${n}`, 'update_config', {});
      journal.finish(`c${n}`, DONE);
      journal.markReported(`c${n}`);
    }
    expect(journal.all()).toHaveLength(2_002);
    expect(journal.get('open')).toBeDefined();
    expect(journal.get('unreported')?.outcome).toEqual(DONE);
    expect([journal.get('c0'), journal.get('c2999')?.reported]).toEqual([undefined, true]);
  });

  it('writes its log anew before it grows without end, and loses nothing by it', () => {
    const log = createMemoryLog();
    const journal = createCommandJournal(log, []);
    for (let n = 0; n < 4_000; n += 1) {
      journal.take(`c${n}`, 'update_config', { labels: 'a,b' });
      journal.finish(`c${n}`, DONE);
      journal.markReported(`c${n}`);
    }
    expect(log.replacedCount).toBeGreaterThan(0);
    expect(log.length).toBeLessThanOrEqual(3 * 2_000 + 2_000);
    const reopened = createCommandJournal(undefined, log.lines());
    for (const command of journal.all()) expect(reopened.get(command.id)).toEqual(command);
    reopened.take('one-more', 'drain', {});
    expect(reopened.all()).toHaveLength(2_001);
  });

  it('more than it can hold are not taken, until some are reported (I12)', () => {
    const log = createMemoryLog();
    const journal = createCommandJournal(log, []);
    for (let n = 0; n < 2_000; n += 1) expect(journal.take(`c${n}`, 'drain', {})).toBeUndefined();
    const lines = log.length;
    expect(journal.take('one-more', 'drain', {})).toMatchObject({ code: 'too-many-commands' });
    expect([journal.get('one-more'), log.length]).toEqual([undefined, lines]);
    journal.finish('c7', DONE);
    expect(journal.take('one-more', 'drain', {})).toMatchObject({ code: 'too-many-commands' });
    journal.markReported('c7');
    expect(journal.take('one-more', 'drain', {})).toBeUndefined();
  });
});

describe('commands and a disk that is full', () => {
  it('one that cannot be journaled is not taken, and the next process knows nothing of it (I2)', () => {
    const log = createMemoryLog();
    const journal = createCommandJournal(log, []);
    log.space = 0;
    expect(journal.take('c1', 'drain', {})).toEqual({
      code: 'journal-unavailable',
      message: expect.stringMatching(/ENOSPC.*not begun.*free space/),
    });
    expect([journal.get('c1'), createCommandJournal(undefined, log.lines()).all()]).toEqual([undefined, []]);
    log.space = Infinity;
    expect(journal.take('c1', 'drain', {})).toBeUndefined();
  });

  it('one that ends is known to have ended, and is written before anything that comes later', () => {
    const log = createMemoryLog();
    const journal = createCommandJournal(log, []);
    journal.take('c1', 'drain', {});
    log.space = 0;
    journal.finish('c1', DONE);
    journal.markReported('c1');
    expect([journal.get('c1'), journal.retry()]).toMatchObject([{ outcome: DONE, reported: true }, false]);
    // A crash now: the next process finds it under way.
    expect(createCommandJournal(undefined, log.lines()).get('c1')?.outcome).toBeUndefined();
    log.space = 2;
    expect(journal.take('c2', 'register_runner', {})).toMatchObject({ code: 'journal-unavailable' });
    expect(createCommandJournal(undefined, log.lines()).all()).toEqual([journal.get('c1')]);
    log.space = Infinity;
    expect(journal.take('c2', 'register_runner', {})).toBeUndefined();
    expect(createCommandJournal(undefined, log.lines()).all()).toEqual(journal.all());
  });
});
