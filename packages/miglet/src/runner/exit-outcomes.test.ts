import { describe, expect, it } from '@jest/globals';
import {
  jobResultOf,
  outcomeOf,
  RESTART_PAUSES_MS,
  type ExitFacts,
  type ProcessExit,
} from './exit-outcomes.js';

const FACTS: ExitFacts = {
  stopRequested: false,
  hang: undefined,
  jobsDone: 0,
  acknowledged: false,
  lastWords: undefined,
  registrationLeft: true,
  restarts: 0,
};
const code = (value: number): ProcessExit => ({ code: value, signal: undefined });
const UNSEEN: ProcessExit = { code: undefined, signal: undefined };
const outcome = (exit: ProcessExit, facts: Partial<ExitFacts> = {}) =>
  outcomeOf(exit, { ...FACTS, ...facts });

describe('what the end of the runner means', () => {
  it.each<[string, ProcessExit, Partial<ExitFacts>, string, boolean, string]>([
    ['told to end', code(0), { stopRequested: true }, 'stopped', true, 'atOnce'],
    ['after its one job', code(0), { jobsDone: 1, registrationLeft: false }, 'job_done', true, 'atOnce'],
    [
      'dropped by GitHub',
      code(0),
      { lastWords: 'registrationGone' },
      'dropped_while_idle',
      true,
      'afterBackoff',
    ],
    [
      'dropped by GitHub after jobs',
      code(0),
      { lastWords: 'registrationGone', jobsDone: 3 },
      'registration_gone',
      true,
      'afterBackoff',
    ],
    ['a job that it took is not run', code(0), { acknowledged: true }, 'job_orphaned', true, 'afterBackoff'],
    ['told to end by somebody', code(0), { lastWords: 'exiting' }, 'interrupted', true, 'afterBackoff'],
    ['for no reason', code(0), {}, 'ended', true, 'afterBackoff'],
    ['gave up', code(1), {}, 'terminated', false, 'afterBackoff'],
    [
      'no registration',
      code(1),
      { lastWords: 'registrationDeleted' },
      'registration_gone',
      false,
      'afterBackoff',
    ],
    [
      'session conflict',
      code(5),
      { lastWords: 'sessionConflict' },
      'session_conflict',
      false,
      'afterBackoff',
    ],
    ['version', code(7), {}, 'version_deprecated', false, 'never'],
    ['job result', code(100), {}, 'job_done', true, 'atOnce'],
    ['failed job', code(102), {}, 'job_done', true, 'atOnce'],
    ['an unknown code', code(42), {}, 'unknown_code', false, 'afterBackoff'],
    ['a signal', { code: undefined, signal: 'SIGSEGV' }, {}, 'killed', false, 'afterBackoff'],
    [
      'a signal of ours',
      { code: undefined, signal: 'SIGKILL' },
      { stopRequested: true },
      'stopped',
      true,
      'atOnce',
    ],
    ['a hang', { code: undefined, signal: 'SIGKILL' }, { hang: 'no job' }, 'hung', false, 'afterBackoff'],
    ['unseen', { code: undefined, signal: undefined }, {}, 'unknown', true, 'atOnce'],
    ['unseen, told to end', UNSEEN, { stopRequested: true }, 'stopped', true, 'atOnce'],
    ['unseen, told to end by others', UNSEEN, { lastWords: 'exiting' }, 'interrupted', true, 'afterBackoff'],
    [
      'unseen, dropped by GitHub',
      UNSEEN,
      { lastWords: 'registrationGone' },
      'dropped_while_idle',
      true,
      'afterBackoff',
    ],
    [
      'unseen, no registration',
      UNSEEN,
      { lastWords: 'registrationDeleted' },
      'registration_gone',
      false,
      'afterBackoff',
    ],
  ])('%s', (_what, exit, facts, name, well, next) => {
    const { action, verdict } = outcome(exit, facts);
    expect(verdict).toMatchObject({ outcome: name, well, next });
    expect(verdict.reason).not.toBe('');
    expect(action).toBe('tell');
  });

  it.each<Partial<ExitFacts>>([{}, { stopRequested: true }, { lastWords: 'registrationGone' }])(
    'of one that was no child says that its code is not known (%j)',
    (facts) => {
      expect(outcome(UNSEEN, facts).verdict.reason).toContain(
        'was not a child of this MIGlet: its exit code is not known',
      );
    },
  );

  it('a version that GitHub refuses says what to do', () => {
    expect(outcome(code(7)).verdict.reason).toContain('runner.version');
  });

  it('an error that may pass is tried again, three times, and then told', () => {
    expect(RESTART_PAUSES_MS).toEqual([1_000, 5_000, 15_000]);
    const actions = [0, 1, 2, 3].map((restarts) => outcome(code(2), { restarts }).action);
    expect(actions).toEqual(['restart', 'restart', 'restart', 'tell']);
    expect(outcome(code(2), { restarts: 3 }).verdict).toMatchObject({
      outcome: 'retryable',
      well: false,
      reason: expect.stringContaining('4 times'),
    });
  });

  it.each([3, 4])('%d waits for the update', (value) => {
    expect(outcome(code(value))).toMatchObject({ action: 'awaitUpdate', verdict: { outcome: 'updating' } });
  });

  it.each([2, 3, 4])('%d of a runner that was told to end is its end', (value) => {
    expect(outcome(code(value), { stopRequested: true })).toMatchObject({
      action: 'tell',
      verdict: { well: true },
    });
  });

  it('the registration is gone when the runner says so, or has deleted its own, and not when it left a job', () => {
    const gone = (facts: Partial<ExitFacts>) => outcome(code(0), facts).verdict.registrationGone;
    expect(gone({})).toBe(false);
    expect(gone({ registrationLeft: false })).toBe(true);
    expect(gone({ lastWords: 'registrationGone' })).toBe(true);
    expect(gone({ lastWords: 'registrationDeleted' })).toBe(true);
    expect(gone({ registrationLeft: false, acknowledged: true })).toBe(false);
  });
});

describe('the result of a job by an exit code', () => {
  it('is there from 100 to 105', () => {
    expect([99, 100, 102, 103, 105, 106].map(jobResultOf)).toEqual([
      undefined,
      'Succeeded',
      'Failed',
      'Canceled',
      'Abandoned',
      undefined,
    ]);
    expect(jobResultOf(undefined)).toBeUndefined();
  });
});
