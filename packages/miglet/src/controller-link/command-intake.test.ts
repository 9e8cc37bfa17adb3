import { describe, expect, it } from '@jest/globals';
import { silentLogger } from '@mig/common/logger';
import { RESULT_EXPIRED, type Parameters } from '@mig/common/domain/command';
import type { CommandMessage } from '@mig/common/domain/messages';
import { createCommandJournal } from '../journal/command-journal.js';
import { createMemoryLog } from '../journal/memory-log.contract.js';
import { createCommandIntake } from './command-intake.js';

const command = (
  id: string,
  type: string,
  parameters: Parameters = {},
  startWithinMs = 0,
): CommandMessage => ({
  id,
  type,
  parameters,
  createdAt: 0,
  startWithinMs,
  attempt: 1,
});

function createDoor() {
  const log = createMemoryLog();
  const begun: { id: string; type: string; parameters: Parameters; linesBefore: number }[] = [];
  const open = (entries: readonly unknown[]) => {
    const journal = createCommandJournal(log, entries);
    const intake = createCommandIntake(
      journal,
      (id, type, parameters) => begun.push({ id, type, parameters, linesBefore: log.length }),
      silentLogger,
    );
    /** As the link does: begins what was taken. */
    const deliver = (message: CommandMessage) => {
      const verdict = intake.take(message);
      if (verdict.kind === 'taken') verdict.begin();
      return verdict;
    };
    return { journal, deliver };
  };
  return { log, begun, ...open([]), afterCrash: () => open(log.lines()) };
}

describe('intake', () => {
  it('a good command is journaled before it is begun', () => {
    const { begun, deliver, log } = createDoor();
    expect(deliver(command('c1', 'drain', { reason: 'x' })).kind).toBe('taken');
    expect(begun).toEqual([{ id: 'c1', type: 'drain', parameters: { reason: 'x' }, linesBefore: 1 }]);
    expect(log.lines()).toEqual([{ kind: 'taken', id: 'c1', type: 'drain', parameters: { reason: 'x' } }]);
  });

  it('a command that is delivered again while it runs is not begun again, also after a crash (I2)', () => {
    const { begun, deliver, afterCrash } = createDoor();
    deliver(command('c1', 'drain'));
    expect(deliver(command('c1', 'drain')).kind).toBe('underWay');
    expect(afterCrash().deliver(command('c1', 'drain')).kind).toBe('underWay');
    expect(begun).toHaveLength(1);
  });

  it('a command that has ended is answered from the journal, also after a crash and after its time (I2)', () => {
    const { begun, deliver, journal, afterCrash } = createDoor();
    const outcome = { success: true, message: 'drained', result: { a: 'b' } };
    deliver(command('c1', 'drain'));
    journal.finish('c1', outcome);
    expect(deliver(command('c1', 'drain'))).toEqual({ kind: 'answer', outcome });
    expect(afterCrash().deliver(command('c1', 'drain', {}, -1))).toEqual({ kind: 'answer', outcome });
    expect(begun).toHaveLength(1);
  });

  it('a command whose time to start has passed is refused, and leaves no trace (I3)', () => {
    const { begun, deliver, log } = createDoor();
    expect(deliver(command('c1', 'drain', {}, -1))).toMatchObject({
      kind: 'answer',
      outcome: { success: false, result: { code: RESULT_EXPIRED } },
    });
    expect([begun, log.length]).toEqual([[], 0]);
    expect(deliver(command('c2', 'drain', {}, 1)).kind).toBe('taken');
  });

  it.each([
    ['an unknown type', command('c1', 'reboot'), 'type "reboot" is unknown'],
    ['a missing parameter', command('c1', 'set_log_level'), 'parameter level is missing'],
    [
      'a value of the wrong type',
      command('c1', 'drain', { force: 'yes' }),
      'parameter force: expected true or false',
    ],
    ['an unknown parameter', command('c1', 'drain', { speed: 1 }), 'parameter "speed" is unknown for drain'],
    [
      'a registration without a token',
      command('c1', 'register_runner', { runner_url: 'https://x' }),
      'registration_token',
    ],
    ['a name of every object', command('c1', 'toString'), 'type "toString" is unknown'],
  ])('%s is answered with the fault and nothing else happens', (_what, message, fault) => {
    const { begun, deliver, log } = createDoor();
    expect(deliver(message)).toMatchObject({
      kind: 'answer',
      outcome: {
        success: false,
        message: expect.stringContaining(fault),
        result: { code: 'bad-command' },
      },
    });
    expect([begun, log.length]).toEqual([[], 0]);
  });

  it('every fault is named at once', () => {
    const { deliver } = createDoor();
    const verdict = deliver(command('c1', 'drain', { force: 1, deadline_ms: -1 }));
    expect(verdict).toMatchObject({
      outcome: { message: expect.stringMatching(/force.*; .*deadline_ms/) },
    });
  });

  it.each(['', '../etc', 'a/b', 'a b', 'x'.repeat(64)])(
    'an id like %j is refused before it is a key (I10)',
    (id) => {
      const { begun, deliver, log } = createDoor();
      expect(deliver(command(id, 'drain'))).toMatchObject({ kind: 'answer', outcome: { success: false } });
      expect([begun, log.length]).toEqual([[], 0]);
    },
  );

  it('one that cannot be journaled, because the disk is full, is refused and not begun; later it may be sent again', () => {
    const { begun, deliver, log } = createDoor();
    log.space = 0;
    expect(deliver(command('c1', 'drain'))).toMatchObject({
      kind: 'answer',
      outcome: {
        success: false,
        message: expect.stringContaining('ENOSPC'),
        result: { code: 'journal-unavailable' },
      },
    });
    expect([begun, log.length]).toEqual([[], 0]);
    log.space = Infinity;
    expect(deliver(command('c1', 'drain')).kind).toBe('taken');
    expect(begun).toHaveLength(1);
  });

  it('one that is one too many is refused and not begun (I12)', () => {
    const { begun, deliver } = createDoor();
    for (let n = 0; n < 2_000; n += 1) deliver(command(`c${n}`, 'drain'));
    expect(deliver(command('one-more', 'drain'))).toMatchObject({
      outcome: { success: false, result: { code: 'too-many-commands' } },
    });
    expect(begun).toHaveLength(2_000);
  });

  it('a secret is handed on and not written down (I8)', () => {
    const { begun, deliver, log, journal } = createDoor();
    const parameters = {
      registration_token: 'S3CRET',
      jit_config: 'J1T',
      runner_url: 'https://github.com/acme',
    };
    deliver(command('c1', 'register_runner', parameters));
    expect(begun[0]?.parameters).toEqual(parameters);
    expect(JSON.stringify([log.lines(), journal.all()])).not.toMatch(/S3CRET|J1T/);
    expect(journal.get('c1')?.parameters).toEqual({ runner_url: 'https://github.com/acme' });
  });
});
