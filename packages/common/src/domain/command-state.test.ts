import { describe, expect, it } from '@jest/globals';
import { IllegalTransitionError } from '../errors.js';
import { COMMAND_STATES, COMMAND_TRANSITIONS, assertCommandTransition, isFinal } from './command-state.js';

/** Written out here, so that a change of the table is a change of a test. */
const MOVES: Record<(typeof COMMAND_STATES)[number], string> = {
  queued: 'sent expired cancelled superseded failed',
  sent: 'queued received completed failed expired cancelled',
  received: 'completed failed expired',
  completed: '',
  failed: '',
  expired: '',
  cancelled: '',
  superseded: '',
};
const PAIRS = COMMAND_STATES.flatMap((from) => COMMAND_STATES.map((to) => [from, to] as const));

describe('the table of a command (I6)', () => {
  it.each(PAIRS)('%s -> %s is allowed or refused as written', (from, to) => {
    const allowed = MOVES[from].split(' ').includes(to);
    expect(COMMAND_TRANSITIONS[from].includes(to)).toBe(allowed);
    const move = () => assertCommandTransition('cmd-1', from, to);
    if (allowed || from === to)
      expect(move).not.toThrow(); // staying is no move
    else expect(move).toThrow(new IllegalTransitionError('command cmd-1', from, to));
  });

  it('what the VM took can be neither cancelled nor queued again (I2)', () => {
    for (const to of ['queued', 'sent', 'cancelled', 'superseded'] as const) {
      expect(() => assertCommandTransition('cmd-1', 'received', to)).toThrow(IllegalTransitionError);
    }
  });

  it('five states are final', () => {
    const final = COMMAND_STATES.filter(isFinal);
    expect(final).toEqual(['completed', 'failed', 'expired', 'cancelled', 'superseded']);
  });
});
