import { describe, expect, it } from '@jest/globals';
import { COMMAND_TYPES } from '@mig/common/domain/command-types';
import { createCommandJournal } from './journal/command-journal.js';
import { resumptionOf, unfinished } from './resume.js';

describe('resume', () => {
  it('says of every type what becomes of it, in the same boot and in another (I2)', () => {
    const table = Object.fromEntries(
      COMMAND_TYPES.map((type) => [
        type,
        [true, false].map((sameBoot) => {
          const resumption = resumptionOf(type, sameBoot);
          return resumption.kind === 'again' ? 'again' : resumption.success;
        }),
      ]),
    );
    expect(table).toEqual({
      // Its token is gone with the process: the controller mints another.
      register_runner: [false, false],
      drain: ['again', false],
      // A boot that has ended was what the shutdown wanted.
      shutdown: ['again', true],
      update_config: ['again', 'again'],
      set_log_level: ['again', 'again'],
    });
  });

  it('a command that is given up says why', () => {
    expect(resumptionOf('register_runner', true)).toMatchObject({
      message: expect.stringContaining('interrupted'),
    });
    expect(resumptionOf('drain', false)).toMatchObject({
      message: expect.stringContaining('another boot'),
    });
  });

  it('only a command that was taken and has no outcome is unfinished', () => {
    const journal = createCommandJournal(undefined, []);
    const outcome = { success: true, message: '', result: {} };
    journal.take('open', 'drain', {});
    journal.take('ended', 'drain', {});
    journal.finish('ended', outcome);
    journal.take('reported', 'drain', {});
    journal.finish('reported', outcome);
    journal.markReported('reported');
    expect(unfinished(journal).map(({ id }) => id)).toEqual(['open']);
  });
});
