/**
 * What each end of the runner's listener means, as data, and what follows from it.
 *
 * Source: actions/runner 2.336.0, src/Runner.Common/Constants.cs:150-163 (`ReturnCode`), src/Runner.Listener/Program.cs:142-170,
 * src/Misc/layoutroot/run-helper.sh.template (what run.sh does about 2, 3, 4 and 7), src/Runner.Common/Util/TaskResultUtil.cs
 * (100 + n). Code 6 is handled inside the listener.
 */
import type { ExitVerdict } from '../machine/types.js';
import type { LastWords } from './job-watch.js';

export interface ProcessExit {
  /** Both undefined: it was not our child, so the system does not tell us; also of one that ended while nobody watched. */
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

/** What was seen of the runner before it ended. */
export interface ExitFacts {
  /** We asked it to end. */
  readonly stopRequested: boolean;
  /** Why we killed it, if it hung. */
  readonly hang: string | undefined;
  readonly jobsDone: number;
  /** It took a job, and neither began nor skipped it. */
  readonly acknowledged: boolean;
  readonly lastWords: LastWords | undefined;
  /** Its registration is still in its folder: it deletes it when GitHub has none any more, and after its one job. */
  readonly registrationLeft: boolean;
  /** How often it was started again with this registration since it last was a good one. */
  readonly restarts: number;
}

/** What its supervisor does about it: the machine sees only what is told. */
export type ExitAction = 'tell' | 'restart' | 'awaitUpdate';

export interface ExitOutcome {
  readonly action: ExitAction;
  readonly verdict: ExitVerdict;
}

/** It is started again after this, once for each pause; then its end is told. */
export const RESTART_PAUSES_MS: readonly number[] = [1_000, 5_000, 15_000];

/** Source: src/Sdk/DTWebApi/WebApi/TaskResult.cs. */
const JOB_RESULTS: readonly string[] = [
  'Succeeded',
  'SucceededWithIssues',
  'Failed',
  'Canceled',
  'Skipped',
  'Abandoned',
];
const FIRST_RESULT_CODE = 100;

interface Row {
  readonly outcome: string;
  readonly reason: string;
  readonly well: boolean;
  /** Default: `afterBackoff`. */
  readonly next?: ExitVerdict['next'];
  readonly spent?: boolean;
  readonly action?: ExitAction;
}

/** By exit code; those of 0 are below, because they differ by what was seen. */
const CODES: Readonly<Record<number, Row>> = {
  1: {
    outcome: 'terminated',
    reason: 'the runner gave up (exit code 1): its registration or its work folder cannot be used',
    well: false,
  },
  2: {
    outcome: 'retryable',
    reason: 'the runner met an error that may pass (exit code 2)',
    well: false,
    action: 'restart',
  },
  3: {
    outcome: 'updating',
    reason: 'the runner ended to be updated (exit code 3)',
    well: true,
    action: 'awaitUpdate',
  },
  4: {
    outcome: 'updating',
    reason: 'the runner ended after its job to be updated (exit code 4)',
    well: true,
    action: 'awaitUpdate',
  },
  5: {
    outcome: 'session_conflict',
    reason:
      'another process has a session as this runner (exit code 5): the runner is deleted, and registered anew',
    well: false,
    spent: true,
  },
  7: {
    outcome: 'version_deprecated',
    reason:
      'GitHub takes no runner of this version any more (exit code 7): set runner.version to a newer one, or put a newer runner into the image',
    well: false,
    next: 'never',
    spent: true,
  },
};

/** What exit code 0 may mean; the first that applies. */
const ENDS_OF_ZERO: readonly (readonly [(facts: ExitFacts) => boolean, Row])[] = [
  [
    // actions/runner #4598: the job stays queued at GitHub, and goes to another runner when its lease has ended.
    ({ acknowledged }) => acknowledged,
    {
      outcome: 'job_orphaned',
      reason:
        'the runner took a job from GitHub and ended without running it: GitHub gives it to another runner, after some minutes',
      well: true,
    },
  ],
  [
    ({ stopRequested }) => stopRequested,
    { outcome: 'stopped', reason: 'the runner was told to end', well: true, next: 'atOnce' },
  ],
  [
    // actions/runner #4726.
    ({ lastWords, jobsDone }) => lastWords === 'registrationGone' && jobsDone === 0,
    {
      outcome: 'dropped_while_idle',
      reason: 'GitHub dropped the registration of the runner while it waited for a job',
      well: true,
    },
  ],
  [
    ({ lastWords }) => lastWords === 'registrationGone',
    { outcome: 'registration_gone', reason: 'GitHub has no registration of the runner any more', well: true },
  ],
  [
    ({ jobsDone }) => jobsDone > 0,
    { outcome: 'job_done', reason: 'the runner ended after its job', well: true, next: 'atOnce' },
  ],
  [
    ({ lastWords }) => lastWords === 'exiting',
    { outcome: 'interrupted', reason: 'the runner was told to end, and not by the MIGlet', well: true },
  ],
  [() => true, { outcome: 'ended', reason: 'the runner ended by itself, without a job', well: true }],
];

export function outcomeOf(exit: ProcessExit, facts: ExitFacts): ExitOutcome {
  const row = rowOf(exit, facts);
  // Nothing is started again that was told to end.
  const action = facts.stopRequested ? 'tell' : (row.action ?? 'tell');
  const exhausted = action === 'restart' && facts.restarts >= RESTART_PAUSES_MS.length;
  return {
    action: exhausted ? 'tell' : action,
    verdict: {
      outcome: row.outcome,
      reason: exhausted ? `${row.reason}, ${facts.restarts + 1} times in a row` : row.reason,
      well: row.well,
      registrationGone: facts.acknowledged ? false : isGone(facts),
      next: row.next ?? 'afterBackoff',
      spent: row.spent === true || facts.lastWords === 'registrationDeleted' || exit.code === 0,
    },
  };
}

const isGone = ({ registrationLeft, lastWords }: ExitFacts): boolean =>
  !registrationLeft || lastWords === 'registrationGone' || lastWords === 'registrationDeleted';

function rowOf({ code, signal }: ProcessExit, facts: ExitFacts): Row {
  if (facts.hang !== undefined)
    return {
      outcome: 'hung',
      reason: `the runner hung, and was killed: ${facts.hang}`,
      well: false,
      spent: true,
    };
  if (signal !== undefined) {
    return facts.stopRequested
      ? {
          outcome: 'stopped',
          reason: `the runner was told to end, and ended by ${signal}`,
          well: true,
          next: 'atOnce',
        }
      : { outcome: 'killed', reason: `the runner was ended by ${signal}`, well: false };
  }
  if (code === undefined) return rowOfUnknown(facts);
  if (code === 0) return ENDS_OF_ZERO.find(([applies]) => applies(facts))?.[1] ?? unknownCode(code);
  const result = jobResultOf(code);
  if (result !== undefined)
    return {
      outcome: 'job_done',
      reason: `the runner ended after its job (${result})`,
      well: true,
      next: 'atOnce',
    };
  if (code === 1 && facts.lastWords === 'registrationDeleted') {
    return {
      outcome: 'registration_gone',
      reason: 'GitHub has no registration of the runner: it opened no session',
      well: false,
      spent: true,
    };
  }
  const row = CODES[code] ?? unknownCode(code);
  return facts.stopRequested ? { ...row, well: true, next: 'atOnce' } : row;
}

const NOT_A_CHILD = 'it was not a child of this MIGlet: its exit code is not known';

/** Without an exit code only its last words say anything. */
function rowOfUnknown(facts: ExitFacts): Row {
  if (facts.stopRequested)
    return {
      outcome: 'stopped',
      reason: `the runner was told to end; ${NOT_A_CHILD}`,
      well: true,
      next: 'atOnce',
    };
  switch (facts.lastWords) {
    case 'registrationGone':
      return {
        outcome: facts.jobsDone === 0 ? 'dropped_while_idle' : 'registration_gone',
        reason: `GitHub has no registration of the runner any more; ${NOT_A_CHILD}`,
        well: true,
        spent: true,
      };
    case 'registrationDeleted':
      return {
        outcome: 'registration_gone',
        reason: `GitHub has no registration of the runner: it opened no session; ${NOT_A_CHILD}`,
        well: false,
        spent: true,
      };
    case 'exiting':
      return { outcome: 'interrupted', reason: `the runner was told to end; ${NOT_A_CHILD}`, well: true };
    case 'sessionConflict':
    case undefined:
      // A runner goes on trying after a conflict, and may have listened since.
      return {
        outcome: 'unknown',
        reason: `the runner has ended; ${NOT_A_CHILD}`,
        well: true,
        next: 'atOnce',
      };
  }
}

/** The result of the job that the exit code tells, if it tells one. */
export const jobResultOf = (code: number | undefined): string | undefined =>
  code === undefined ? undefined : JOB_RESULTS[code - FIRST_RESULT_CODE];

const unknownCode = (code: number): Row => ({
  outcome: 'unknown_code',
  reason: `the runner ended with exit code ${code}, which is none of its own`,
  well: false,
});
