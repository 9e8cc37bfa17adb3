/** Words and data that the machine's actions carry. */
import { errorMessage } from '@mig/common/errors';
import type { Outcome } from '@mig/common/outcome';
import type {
  CommandResult,
  Ending,
  Hang,
  MigletContext,
  Registration,
  RunnerExited,
  RunnerJob,
} from './types.js';

export const success = (message: string, result: Readonly<Record<string, string>> = {}): CommandResult => ({
  success: true,
  message,
  result,
});
/** @param code for programs, `result.code`; default: none */
export const failure = (message: string, code?: string): CommandResult => ({
  success: false,
  message,
  result: code === undefined ? {} : { code },
});

export const reasonOf = (outcome: Outcome<unknown>): string => (outcome.kind === 'ok' ? '' : outcome.reason);
export const messageOf = (error: unknown): string => errorMessage(error);

/** The answer to the registration that is being given up. */
export const refusal = (
  context: MigletContext,
): { commandId: string | undefined; result: CommandResult } => ({
  commandId: context.registration?.commandId,
  result: failure(context.note),
});

/** What `configuring` works on; the state is entered only with one. */
export function registrationOf(context: MigletContext): Registration {
  if (context.registration === undefined) throw new Error('configuring without a registration');
  return context.registration;
}

/** How the boot ends. `failed` stays; a job that was cut short makes it `forced`. */
export function endingOf(context: MigletContext): Ending {
  const ending = context.ending ?? { outcome: 'drained' as const, reason: '', poweroff: false };
  return ending.outcome === 'drained' && context.forced ? { ...ending, outcome: 'forced' } : ending;
}

/** Why a VM is drained that was so before its MIGlet was restarted, until a drain that is resumed says more. */
export const DRAINED_BEFORE = 'drained before the MIGlet was restarted';

/** What becomes of a VM whose drain is taken back now, for its operator. */
export function messageAfterUndrain({ job, processAlive, runner, stopping }: MigletContext): string {
  if (job !== undefined && stopping)
    return `undrained, but job ${job.name} is being ended already: the VM registers again after it`;
  if (job !== undefined) return `undrained: registers again when job ${job.name} has ended`;
  return processAlive || runner !== undefined
    ? 'undrained: registers again when its runner is replaced'
    : 'undrained: registers again';
}

/** `10 min`, `45 s`. */
export const durationText = (ms: number): string =>
  ms % 60_000 === 0 ? `${ms / 60_000} min` : `${Math.round(ms / 1_000)} s`;

export function describeExit({ verdict, code, signal }: RunnerExited): string {
  if (verdict !== undefined) return verdict.reason;
  return signal !== undefined ? `signal ${signal}` : `exit code ${code ?? 'unknown'}`;
}

/** @param job that was cut off with it */
export const exitData = (exit: RunnerExited, job: RunnerJob | undefined): Record<string, string> => ({
  ...(exit.code === undefined ? {} : { exit_code: String(exit.code) }),
  ...(exit.signal === undefined ? {} : { signal: exit.signal }),
  ...(exit.verdict === undefined ? {} : { outcome: exit.verdict.outcome, reason: exit.verdict.reason }),
  ...(exit.process === undefined ? {} : { process: exit.process }),
  ...(job === undefined ? {} : { job: job.name, job_id: job.jobId }),
});

export const jobData = (job: RunnerJob): Record<string, string> => ({
  job_id: job.jobId,
  name: job.name,
  ...(job.repository === '' ? {} : { repository: job.repository }),
  ...(job.runId === '' ? {} : { run_id: job.runId }),
  ...(job.runAttempt === undefined ? {} : { run_attempt: job.runAttempt }),
  ...(job.commit === '' ? {} : { sha: job.commit }),
  ...(job.branch === '' ? {} : { branch: job.branch }),
});

export const hangData = (
  { runner, job }: MigletContext,
  hang: Hang,
  reason: string,
  process?: string,
): Record<string, string> => ({
  hang,
  reason,
  runner: runner?.name ?? '',
  ...(job === undefined ? {} : { job: job.name, job_id: job.jobId }),
  ...(process === undefined ? {} : { process }),
});

/** Runners that the VM leaves at GitHub, for whoever looks after them; nothing if it leaves none. */
export const leftData = ({ leftBehind }: MigletContext): Record<string, string> =>
  leftBehind.length === 0 ? {} : { registration_left: leftBehind.join(',') };

export const drainedMessage = ({ forced, leftBehind }: MigletContext): string => {
  const drained = forced ? 'drained by force' : 'drained';
  return leftBehind.length === 0
    ? drained
    : `${drained}; GitHub could not be asked to delete ${leftBehind.join(', ')}: the controller's reconciliation does it, or delete them by hand`;
};
