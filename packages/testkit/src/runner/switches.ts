/**
 * Environment switches of the stand-in runner, all of them. The real runner knows none of these.
 *
 * STAND_IN_RUNNER_FAULT: misbehaviour on demand, one or several separated by commas. With `once:` before it, a fault
 * happens in the first process of the runner's folder that comes to it, and not again.
 *
 *   crash-on-start             the listener dies by SIGKILL before it connects
 *   crash-after-listening:MS   … MS after `Listening for Jobs`
 *   crash-in-job:MS            … MS after `Running job`; its worker ends with it, and the job is lost
 *   exit:CODE                  the listener exits with CODE before it connects
 *   exit-after-listening:CODE  the listener exits with CODE as soon as it listens, without a word to GitHub
 *   hang-on-sigint             the listener says `Exiting...` on SIGINT or SIGTERM and does nothing else
 *   config-fails:N             the first N runs of `config.sh` fail with exit code 1 (counted in the folder)
 *   hang-after-acknowledge     acknowledges a job and never runs it (actions/runner #4703)
 *   exit-without-job           is handed a job and exits with 0 without running it (actions/runner #4598)
 *   worker-lingers             the job completes, its worker never ends, the listener waits for it (actions/runner #4418)
 *   worker-crash:MS            the worker dies by SIGKILL MS after it began
 *   worker-outlives            its listener dies, the worker goes on with the job, and with `worker-lingers` never ends
 *   version-deprecated         GitHub refuses the version: exit code 7 or 1 (github-facts 1.4)
 *   stays-deregistered         passes over that its registration is gone: alive, listening, no runner (actions/runner #4617)
 *   update:MS                  GitHub asks for another version as soon as it listens: exit code 3, or 4 of a runner that runs
 *                              one job; MS after its end `update.finished` is in its folder (github-facts 1.8)
 *   update-in-job:MS           … as soon as it runs a job, which ends first; a runner of one job then ends as always
 *   disconnect:MS              loses GitHub as soon as it listens, and has it again MS later
 *
 * STAND_IN_RUNNER_RETRY_MS: the pause before GitHub is asked again when it cannot be reached. Default 1000; the real
 * runner waits 15 to 60 s.
 * STAND_IN_RUNNER_SESSION_CONFLICT=INTERVAL_MS:RETRIES: how often it is tried again to open a session that another
 * holds. Default 30000:8, as the real runner.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const FAULTS = [
  'crash-on-start',
  'crash-after-listening',
  'crash-in-job',
  'exit',
  'exit-after-listening',
  'hang-on-sigint',
  'config-fails',
  'hang-after-acknowledge',
  'exit-without-job',
  'worker-lingers',
  'worker-crash',
  'worker-outlives',
  'version-deprecated',
  'stays-deregistered',
  'update',
  'update-in-job',
  'disconnect',
] as const;

export type FaultName = (typeof FAULTS)[number];

/** What became of `once:` faults, and how often `config-fails` struck; in the runner's folder. */
const STATE_FILE = '.stand-in-faults';

export interface Switches {
  /** The fault's number (0 if it has none) if it is to happen now, which uses up a `once:`; undefined if it is not. */
  takeFault(name: FaultName): number | undefined;
  /** Whether `config-fails:N` strikes this time. */
  takeConfigFailure(): boolean;
  readonly retryMs: number;
  readonly sessionConflict: { readonly intervalMs: number; readonly retries: number };
}

interface Fault {
  readonly name: FaultName;
  readonly once: boolean;
  readonly value: number;
}

/** Throws if a variable says something that is not in the list above. */
export function readSwitches(env: NodeJS.ProcessEnv, root: string): Switches {
  const faults = (env['STAND_IN_RUNNER_FAULT'] ?? '')
    .split(',')
    .filter((text) => text !== '')
    .map(parseFault);
  const conflict = /^(\d+):(\d+)$/.exec(env['STAND_IN_RUNNER_SESSION_CONFLICT'] ?? '30000:8');
  if (conflict === null) {
    throw new Error(
      `STAND_IN_RUNNER_SESSION_CONFLICT=${env['STAND_IN_RUNNER_SESSION_CONFLICT'] ?? ''} is not valid: use INTERVAL_MS:RETRIES`,
    );
  }
  const retryMs = Number(env['STAND_IN_RUNNER_RETRY_MS'] ?? 1_000);
  if (!(retryMs >= 0)) {
    throw new Error(
      `STAND_IN_RUNNER_RETRY_MS=${env['STAND_IN_RUNNER_RETRY_MS'] ?? ''} is not valid: use milliseconds`,
    );
  }

  const stateFile = path.join(root, STATE_FILE);
  const count = (key: string): number => {
    const counts = existsSync(stateFile)
      ? (JSON.parse(readFileSync(stateFile, 'utf8')) as Record<string, number>)
      : {};
    const before = counts[key] ?? 0;
    writeFileSync(stateFile, JSON.stringify({ ...counts, [key]: before + 1 }));
    return before;
  };

  return {
    takeFault(name) {
      const fault = faults.find((candidate) => candidate.name === name);
      if (fault === undefined || (fault.once && count(name) > 0)) return undefined;
      return fault.value;
    },
    takeConfigFailure() {
      const fault = faults.find(({ name }) => name === 'config-fails');
      return fault !== undefined && count('config-fails') < fault.value;
    },
    retryMs,
    sessionConflict: { intervalMs: Number(conflict[1]), retries: Number(conflict[2]) },
  };
}

function parseFault(text: string): Fault {
  const [, once, name, value] = /^(once:)?([a-z-]+)(?::(\d+))?$/.exec(text) ?? [];
  const known = FAULTS.find((candidate) => candidate === name);
  if (known === undefined) {
    throw new Error(`STAND_IN_RUNNER_FAULT=${text} is not known: use one of ${FAULTS.join(', ')}`);
  }
  return { name: known, once: once !== undefined, value: Number(value ?? 0) };
}
