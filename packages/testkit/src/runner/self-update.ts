/**
 * The listener puts another version in its own place, as GitHub tells it to: it downloads, waits for the job that runs, starts
 * a script that outlives it, and exits (actions/runner src/Runner.Listener/SelfUpdater.cs). Here nothing is downloaded and the
 * version stays; the script does no more than to say, after a while, that it has finished.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import type { Terminal } from './terminal.js';

/** In the runner's folder, when the script is done; whoever starts the listener again removes it (run-helper.sh). */
const UPDATE_FINISHED = 'update.finished';

export interface SelfUpdate {
  /** To be called when no job runs any more: the listener has to exit at once. */
  finish(): void;
}

/** Says that it begins. @param takesMs from the end of the listener until the script is done */
export function beginSelfUpdate(
  deps: { readonly root: string; readonly terminal: Terminal; readonly env: NodeJS.ProcessEnv },
  takesMs: number,
): SelfUpdate {
  const { root, terminal } = deps;
  terminal.line('Runner update in progress, do not shutdown runner.');
  terminal.line('Downloading 2.337.0 runner');
  terminal.line('Waiting for current job finish running.');
  return {
    finish() {
      terminal.line('Generate and execute update script.');
      terminal.line('Runner will exit shortly for update, should be back online within 10 seconds.');
      const script = `sleep ${takesMs / 1_000}; : > '${path.join(root, UPDATE_FINISHED).replaceAll("'", `'\\''`)}'`;
      spawn('/bin/sh', ['-c', script], { env: deps.env, stdio: 'ignore', detached: true }).unref();
    },
  };
}
