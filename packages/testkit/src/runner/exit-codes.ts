/** Exit codes of the listener (actions/runner src/Runner.Common/Constants.cs, `ReturnCode`). */
export const EXIT = {
  success: 0,
  /** Bad configuration, not configured, no session: starting again does not help. */
  terminated: 1,
  /** Any other exception. */
  retryable: 2,
  /** Another version is being put in its place: to be started again when `update.finished` is there. */
  updating: 3,
  /** … of a runner that runs one job. */
  runOnceUpdating: 4,
  sessionConflict: 5,
  versionDeprecated: 7,
} as const;

/** How a job can end, and what is added to 100 for the exit code of its worker (src/Sdk/DTWebApi/WebApi/TaskResult.cs). */
const RESULT_NUMBERS = { Succeeded: 0, Failed: 2, Canceled: 3 } as const;

export type JobResult = keyof typeof RESULT_NUMBERS;

export const toExitCode = (result: JobResult): number => 100 + RESULT_NUMBERS[result];

/** Undefined if the code is not that of a worker that finished its job (src/Runner.Common/Util/TaskResultUtil.cs). */
export function fromExitCode(code: number | null): JobResult | undefined {
  const results = Object.keys(RESULT_NUMBERS) as JobResult[];
  return results.find((result) => toExitCode(result) === code);
}
