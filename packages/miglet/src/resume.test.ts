import { describe, expect, it } from '@jest/globals';
import { COMMAND_TYPES } from '@mig/common/domain/command-types';
import { createCommandJournal } from './journal/command-journal.js';
import { createMemoryLog } from './journal/memory-log.contract.js';
import type { CommandJournal, JournaledCommand } from './journal/journal.js';
import { resumeCommands, resumptionOf, unfinished } from './resume.js';

const DONE = { success: true, message: '', result: {} };

/** What is begun and what is settled, in order. */
function resumed(journal: CommandJournal, sameBoot: boolean): string[] {
  const deeds: string[] = [];
  resumeCommands(journal, sameBoot, {
    uptimeMs: () => 0,
    drainDeadlineMs: 0,
    begin: (id, type) => deeds.push(`${type} ${id} again`),
    settle: (id, { success, result }) => deeds.push(`${id} ${success ? 'ok' : (result['code'] ?? 'failed')}`),
  });
  return deeds;
}

describe('resume', () => {
  it('says of every type what becomes of it, in the same boot and in another (I2)', () => {
    const table = Object.fromEntries(
      COMMAND_TYPES.map((type) => [
        type,
        [true, false].map((sameBoot) => {
          const resumption = resumptionOf(type, sameBoot);
          return resumption.kind === 'again' ? 'again' : (resumption.result['code'] ?? resumption.success);
        }),
      ]),
    );
    expect(table).toEqual({
      // Its token is gone with the process: the controller mints another.
      register_runner: ['interrupted', 'interrupted'],
      drain: ['again', 'interrupted'],
      undrain: ['again', 'again'],
      // A boot that has ended was what the shutdown wanted.
      shutdown: ['again', true],
      // What they change died with the process.
      update_config: ['again', 'again'],
      set_log_level: ['again', 'again'],
    });
  });

  it('a command that is given up says why, for people and for programs', () => {
    expect(resumptionOf('register_runner', true)).toMatchObject({
      success: false,
      message: expect.stringContaining('interrupted'),
      result: { code: 'interrupted' },
    });
    expect(resumptionOf('drain', false)).toMatchObject({
      message: expect.stringContaining('another boot'),
      result: { code: 'interrupted' },
    });
  });

  it('only a command that was taken and has no outcome is unfinished', () => {
    const journal = createCommandJournal(undefined, []);
    journal.take('open', 'drain', {});
    journal.take('ended', 'drain', {});
    journal.finish('ended', DONE);
    journal.take('reported', 'drain', {});
    journal.finish('reported', DONE);
    journal.markReported('reported');
    expect(unfinished(journal).map(({ id }: JournaledCommand) => id)).toEqual(['open']);
  });

  it('commands are resumed in the order in which they were taken: the last word is the last', () => {
    const journal = createCommandJournal(undefined, []);
    journal.take('1', 'drain', {});
    journal.take('2', 'set_log_level', { level: 'debug' });
    journal.take('3', 'register_runner', {});
    journal.take('4', 'undrain', {});
    journal.take('5', 'drain', {});
    journal.finish('2', DONE);
    expect(resumed(journal, true)).toEqual([
      'drain 1 again',
      '3 interrupted',
      'undrain 4 again',
      'drain 5 again',
    ]);
    expect(resumed(journal, false)).toEqual([
      '1 interrupted',
      '3 interrupted',
      'undrain 4 again',
      '5 interrupted',
    ]);
  });

  it('the deadline of a drain goes on from when it was taken, whatever the clock on the wall says', () => {
    let uptimeMs = 50_000;
    const log = createMemoryLog();
    const before = createCommandJournal(log, [], () => uptimeMs);
    before.take('named', 'drain', { deadline_ms: 60_000 });
    before.take('unnamed', 'drain', {});
    before.take('never', 'drain', { deadline_ms: 0 });
    before.take('passed', 'drain', { deadline_ms: 100 });
    uptimeMs = 60_000;
    const begun: Record<string, unknown> = {};
    resumeCommands(createCommandJournal(undefined, log.lines()), true, {
      uptimeMs: () => uptimeMs,
      drainDeadlineMs: 30_000,
      begin: (id, _type, parameters) => (begun[id] = parameters['deadline_ms']),
      settle: () => undefined,
    });
    expect(begun).toEqual({ named: 50_000, unnamed: 20_000, never: 0, passed: 1 });
  });

  it('a command of a type that this version does not know is not left without an answer', () => {
    const journal = createCommandJournal(undefined, []);
    journal.take('1', 'reboot', {});
    expect(resumed(journal, true)).toEqual(['1 interrupted']);
  });
});
