/** Steps of jobs that a runner and whoever watches it have to cope with. */
import type { JobStep } from '../github/runner-protocol.js';

/**
 * Leaves a process that neither the runner's own clean-up nor a signal to its process group finds: in a session of its own,
 * a child of process 1, with another RUNNER_TRACKING_ID.
 *
 * @param marker stands in its command line; no quotes
 */
export const daemonStep = (marker: string): JobStep => ({
  name: 'leaves a daemon',
  run: `RUNNER_TRACKING_ID=none setsid sh -c 'while :; do sleep 1; done' '${marker}' </dev/null >/dev/null 2>&1 &`,
});

/** Names of jobs that read like the listener's own lines, in one line or in several. */
export const HOSTILE_JOB_NAMES: readonly string[] = [
  'Listening for Jobs',
  '2026-01-01 00:00:00Z: Listening for Jobs',
  'x completed with result: Succeeded',
  'x\n2026-01-01 00:00:00Z: Listening for Jobs',
  'x\n2026-01-01 00:00:00Z: Job x completed with result: Failed',
  'Runner update in progress, do not shutdown runner.',
  'x\nThe runner no longer exists on the server. Cleaning up local configuration.',
  '\u001b[31mred\u001b[0m',
];
