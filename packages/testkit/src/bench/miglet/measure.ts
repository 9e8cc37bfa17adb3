/** One start of the bundled MIGlet, measured: until its announcement arrives, and at rest with a runner that waits for jobs. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { processesOf } from '../../system/processes-of.js';
import { unitFlags } from '../unit-flags.js';
import { cpuMs, residentBytes } from '../processes/proc.js';
import { installIdleRunner } from './idle-runner.js';
import type { SmallController } from './small-controller.js';

export interface MigletFigures {
  /** From the start of the process until its announcement arrived. */
  readonly announcedMs: number;
  /** Until its runner waited for a job. */
  readonly readyMs: number;
  readonly residentMb: number;
  /** Of one core, at rest, percent. */
  readonly cpuPercent: number;
}

export interface MigletRun {
  readonly controller: SmallController;
  /** Empty, and its own. */
  readonly folder: string;
  /** How long the CPU at rest is measured. */
  readonly restMs: number;
  readonly signal: AbortSignal;
}

/** The production build, as it is brought onto VMs. */
export const MIGLET_PROGRAM = fileURLToPath(new URL('../../../../miglet/bundle/miglet.mjs', import.meta.url));
/** What start-up leaves behind is given back 5 s after it. */
const SETTLE_MS = 8_000;
const DEADLINE_MS = 60_000;

/** @throws Error with its last words if it does not come so far */
export async function measureMiglet({
  controller,
  folder,
  restMs,
  signal,
}: MigletRun): Promise<MigletFigures> {
  const runnerDirectory = path.join(folder, 'actions-runner');
  mkdirSync(folder, { recursive: true });
  installIdleRunner(runnerDirectory);
  const logFile = path.join(folder, 'miglet.log');
  const log = openSync(logFile, 'a');
  const announced = controller.announced();
  const ready = controller.ready();
  const startedMs = performance.now();
  const child = spawn(process.execPath, [...unitFlags('miglet'), MIGLET_PROGRAM], {
    env: {
      PATH: process.env['PATH'],
      MIGLET_VM_ID: 'bench',
      MIGLET_POOL_ID: 'bench',
      MIGLET_STATE_DIR: path.join(folder, 'state'),
      MIGLET_RUNNER_DIR: runnerDirectory,
      MIGLET_CONTROLLER_ENDPOINT: controller.endpoint,
      ...(process.getuid?.() === 0 ? { MIGLET_RUNNER_ALLOW_ROOT: 'true' } : {}),
    },
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const pid = child.pid ?? 0;
  const ended = new Promise<never>((_, reject) => {
    const end = (how: string): void =>
      reject(new Error(`the MIGlet ended (${how}): ${readFileSync(logFile, 'utf8').slice(-1_000)}`));
    child.once('error', (error) => end(error.message));
    child.once('exit', (code, name) => end(name ?? `exit code ${code ?? 'unknown'}`));
  });
  const tooLate = pause(DEADLINE_MS, undefined, { signal, ref: false }).then(() => {
    throw new Error(
      `the MIGlet was not ready after ${DEADLINE_MS / 1_000} s: ${readFileSync(logFile, 'utf8').slice(-1_000)}`,
    );
  });
  try {
    const announcedMs = (await Promise.race([announced, ended, tooLate])) - startedMs;
    await Promise.race([ready, ended, tooLate]);
    const readyMs = performance.now() - startedMs;
    await Promise.race([pause(SETTLE_MS, undefined, { signal }), ended]);
    const before = { cpu: cpuMs(pid) ?? 0, ms: performance.now() };
    await Promise.race([pause(restMs, undefined, { signal }), ended]);
    const cpuPercent = (((cpuMs(pid) ?? 0) - before.cpu) / (performance.now() - before.ms)) * 100;
    return { announcedMs, readyMs, residentMb: (residentBytes(pid) ?? 0) / 2 ** 20, cpuPercent };
  } finally {
    tooLate.catch(() => undefined);
    ended.catch(() => undefined);
    child.kill('SIGKILL');
    // Its runner is a process group of its own, and outlives it.
    for (const left of processesOf(folder)) endProcess(left);
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}
