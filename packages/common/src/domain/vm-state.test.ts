import { describe, expect, it } from '@jest/globals';
import { IllegalTransitionError } from '../errors.js';
import {
  VM_PHASES,
  VM_TRANSITIONS,
  assertVmTransition,
  parseReportedState,
  phaseOf,
  stateMatches,
} from './vm-state.js';

/** Written out here, so that a change of the table is a change of a test. */
const MOVES: Record<(typeof VM_PHASES)[number], string> = {
  booting: 'booting registering ready draining shutdown',
  registering: 'booting registering ready draining shutdown',
  ready: 'booting registering ready draining shutdown',
  draining: 'booting registering ready draining shutdown',
  shutdown: 'shutdown',
};
const PAIRS = VM_PHASES.flatMap((from) => VM_PHASES.map((to) => [from, to] as const));

describe('the table of a VM (I6)', () => {
  it.each(PAIRS)('%s -> %s is allowed or refused as written', (from, to) => {
    const allowed = MOVES[from].split(' ').includes(to);
    expect(VM_TRANSITIONS[from].includes(to)).toBe(allowed);
    const move = () => assertVmTransition('vm-1', `${from}.some`, to);
    if (allowed) expect(move).not.toThrow();
    else expect(move).toThrow(new IllegalTransitionError('VM vm-1', `${from}.some`, to));
  });

  it('has no move from or to a state without a phase', () => {
    expect(() => assertVmTransition('vm-1', 'ready', 'asleep')).toThrow(IllegalTransitionError);
    expect(() => assertVmTransition('vm-1', 'asleep', 'ready')).toThrow(
      'VM vm-1 cannot go from asleep to ready',
    );
  });
});

describe('what a MIGlet reports', () => {
  it.each([
    ['initializing', 'booting'],
    ['connecting', 'registering.connecting'],
    ['ready', 'registering.awaitingCommand'],
    ['registering_runner', 'registering.configuring'],
    ['idle', 'ready.idle'],
    ['job_running', 'ready.busy'],
    ['draining', 'draining'],
    ['shutting_down', 'shutdown'],
  ])('the legacy word %s means %s', (word, state) => expect(parseReportedState(word)).toBe(state));

  it.each([
    'booting',
    'registering.configuring',
    'ready.idle',
    'ready.busy',
    'draining.finishingJob',
    'shutdown.done',
  ])('a path of ours stays: %s', (state) => expect(parseReportedState(state)).toBe(state));

  it.each([
    '',
    'error',
    'asleep',
    'ready.',
    '.ready',
    'ready..idle',
    'ready.idle\n',
    'ready/../idle',
    'READY',
    'constructor',
  ])('%j says nothing about the phase', (word) => expect(parseReportedState(word)).toBeUndefined());

  it('a path has the phase of its first part', () => {
    expect(phaseOf('ready.idle')).toBe('ready');
    expect(phaseOf('readyish')).toBeUndefined();
  });
});

describe('filters by state', () => {
  it.each([
    ['ready.idle', 'ready', true],
    ['ready.idle', 'ready.idle', true],
    ['ready', 'ready.idle', false],
    ['readyish', 'ready', false],
    ['registering.awaitingCommand', 'registering.await', false],
  ])('%s matches %s: %s', (state, filter, matches) => expect(stateMatches(state, filter)).toBe(matches));
});
