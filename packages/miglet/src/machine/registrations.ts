/** What GitHub may know of this VM's runners: pure reckoning. */
import type { MigletContext } from './types.js';

/** Beyond it the oldest is left to the controller's reconciliation. */
const MAX_LEFT_BEHIND = 8;

/** Every runner of the VM that GitHub may know, oldest first. */
export const registeredNames = ({ leftBehind, runner }: MigletContext): readonly string[] =>
  [...leftBehind, ...(runner === undefined ? [] : [runner.name])].slice(-MAX_LEFT_BEHIND);

/** Which of them GitHub is asked to delete now. */
export const askedName = ({ leftBehind, runner }: MigletContext): string =>
  runner?.name ?? leftBehind[0] ?? '';

/** With a JIT config a runner is at GitHub before it is ever started: one that is not used is left behind. */
export function unused(
  { leftBehind, registration }: MigletContext,
  usedName: string | undefined,
): readonly string[] {
  const name = registration?.runnerName;
  if (name === undefined || registration?.jitConfig === '' || name === usedName || leftBehind.includes(name))
    return leftBehind;
  return [...leftBehind, name].slice(-MAX_LEFT_BEHIND);
}

/** After so many refusals in a row what is registered is left behind. */
export function deregisterTriesOf({ limits, forced, drain, ending }: MigletContext): number {
  if (forced) return limits.maxForcedDeregisterFailures;
  return drain !== undefined || ending !== undefined ? limits.maxDeregisterFailures : limits.maxClearFailures;
}
