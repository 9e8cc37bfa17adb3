/** Words and data that the machine's actions carry. */
import { errorMessage } from '@mig/common/errors';
import type { Outcome } from '@mig/common/outcome';
import type { JobStatus } from '@mig/common/domain/vm';
import type { CommandResult, Ending, MigletContext, Registration, RunnerExited } from './types.js';

export const success = (message: string, result: Readonly<Record<string, string>> = {}): CommandResult => ({
  success: true,
  message,
  result,
});
export const failure = (message: string): CommandResult => ({ success: false, message, result: {} });

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

export const describeExit = (exit: RunnerExited): string =>
  exit.signal !== undefined ? `signal ${exit.signal}` : `exit code ${exit.code ?? 'unknown'}`;

export const exitData = (exit: RunnerExited): Record<string, string> => ({
  ...(exit.code === undefined ? {} : { exit_code: String(exit.code) }),
  ...(exit.signal === undefined ? {} : { signal: exit.signal }),
});

export const jobData = (job: JobStatus): Record<string, string> => ({
  job_id: job.jobId,
  name: job.name,
  ...(job.repository === '' ? {} : { repository: job.repository }),
  ...(job.runId === '' ? {} : { run_id: job.runId }),
});
