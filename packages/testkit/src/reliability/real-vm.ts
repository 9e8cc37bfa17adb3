/** A VM with the real program: the MIGlet's bundle as a process, on a folder that outlives it. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Child, ChildExit } from '../system/child-process.js';
import { readJsonLines } from '../system/json-lines.js';
import { processesOf } from '../system/processes-of.js';
import { ORGANIZATION, POOL, type Control, type Ground } from './ground.js';

/** A line of the MIGlet's journal of commands. */
export interface JournalLine {
  readonly kind: string;
  readonly id?: string;
  readonly outcome?: { readonly success: boolean; readonly message: string };
}

export interface RealVm {
  readonly vmId: string;
  readonly folder: string;
  readonly runs: boolean;
  /** @param plan of the points at which it dies; undefined = the program as it goes into production */
  start(plan?: string): void;
  /** Resolves when the process that runs now has ended, with how. */
  ended(): Promise<ChildExit>;
  /** SIGKILL to the MIGlet alone: its runner goes on. Resolves when it is gone. */
  kill(): Promise<void>;
  /** To the process that runs now, if there is one. */
  signal(name: NodeJS.Signals): void;
  /** Lines of its log, over all its processes. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  journal(): JournalLine[];
}

export interface RealVmOptions {
  readonly vmId: string;
  /** Makes the runner in this folder. */
  readonly installRunner: (directory: string) => void;
  /** Settings beside its identity: `MIGLET_…`. */
  readonly env?: Readonly<Record<string, string>>;
}

export function createRealVm(ground: Ground, control: Control, options: RealVmOptions): RealVm {
  const { vmId } = options;
  const folder = path.join(ground.folder, 'vms', vmId);
  const stateDirectory = path.join(folder, 'state');
  const runnerDirectory = path.join(folder, 'actions-runner');
  mkdirSync(runnerDirectory, { recursive: true });
  options.installRunner(runnerDirectory);
  const log: Readonly<Record<string, unknown>>[] = [];
  let child: Child | undefined;
  // Its runner is a process group of its own, and outlives it.
  ground.onCleanUp(() => {
    child?.signal('SIGKILL');
    for (const pid of processesOf(folder)) endProcess(pid);
  });

  return {
    vmId,
    folder,
    log,
    get runs() {
      return child !== undefined;
    },
    start(plan) {
      const started = ground.start({
        args: [plan === undefined ? ground.programs.miglet : ground.programs.mortalMiglet],
        env: {
          MIGLET_VM_ID: vmId,
          MIGLET_POOL_ID: POOL,
          MIGLET_ORG_ID: ORGANIZATION,
          MIGLET_STATE_DIR: stateDirectory,
          MIGLET_RUNNER_DIR: runnerDirectory,
          MIGLET_CONTROLLER_ENDPOINT: control.controller.http,
          ...(process.getuid?.() === 0 ? { MIGLET_RUNNER_ALLOW_ROOT: 'true' } : {}),
          ...options.env,
          ...(plan === undefined ? {} : { MIG_TEST_POINTS_PLAN: plan }),
        },
        onLog: (entry) => log.push(entry),
      });
      child = started;
      void started.exited.then(() => {
        if (child === started) child = undefined;
      });
    },
    ended: async () => (await child?.exited) ?? { code: 0, signal: null, lastError: '' },
    async kill() {
      const ending = child;
      ending?.signal('SIGKILL');
      await ending?.exited;
    },
    signal: (name) => child?.signal(name),
    journal: () => readJsonLines<JournalLine>(path.join(stateDirectory, 'commands.jsonl')),
  };
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}
