/** The folder of the GitHub runner: what must be in it, and what a registration leaves there. */
import { accessSync, constants, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

/** Written by a registration; `config.sh remove --local` deletes the same (actions/runner, HostContext.GetConfigFile). */
export const REGISTRATION_FILES = [
  '.runner',
  '.credentials',
  '.credentials_rsaparams',
  '.runner_migrated',
  '.credentials_migrated',
];

export interface RunnerDirectory {
  readonly path: string;
  readonly configScript: string;
  readonly listener: string;
  /**
   * What is missing, for a person; undefined if nothing is.
   *
   * @param forJit a runner with a JIT config needs no config.sh; default false
   */
  missing(forJit?: boolean): string | undefined;
  /** The name that an earlier registration left here; empty if none did. */
  registeredName(): string;
  /** Forgets an earlier registration, which would make config.sh refuse. */
  forgetRegistration(): void;
}

export function runnerDirectory(directory: string): RunnerDirectory {
  const configScript = path.join(directory, 'config.sh');
  const listener = path.join(directory, 'bin', 'Runner.Listener');
  return {
    path: directory,
    configScript,
    listener,
    missing(forJit = false) {
      for (const file of forJit ? [listener] : [configScript, listener]) {
        try {
          accessSync(file, constants.X_OK);
        } catch {
          return `${file} is not there or cannot be run: unpack the GitHub runner into ${directory}, or set runner.dir`;
        }
      }
      return undefined;
    },
    registeredName() {
      try {
        // config.sh writes agentName, a JIT config AgentName; .NET may put a byte order mark before it.
        const text = readFileSync(path.join(directory, '.runner'), 'utf8').replace(/^\uFEFF/, '');
        const settings = JSON.parse(text) as Record<string, unknown>;
        const name = settings['agentName'] ?? settings['AgentName'];
        return typeof name === 'string' ? name : '';
      } catch {
        return '';
      }
    },
    forgetRegistration() {
      for (const name of REGISTRATION_FILES) rmSync(path.join(directory, name), { force: true });
    },
  };
}
