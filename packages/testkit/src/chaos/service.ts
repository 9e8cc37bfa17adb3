/**
 * A process that is started again whenever it ends, as systemd would, and that can be killed, frozen and told to end.
 *
 * Its output goes to a file that outlives it, with a line of ours at the beginning of each life. Every life is remembered with
 * how it ended and why: an end that nobody caused is a finding.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readFileSync } from 'node:fs';

export interface Life {
  /** From 1. */
  readonly number: number;
  readonly pid: number;
  /** Milliseconds since 1970, by the clock of the harness. */
  readonly startedAt: number;
  endedAt: number | undefined;
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What was done to it that explains its end: `SIGKILL`, `SIGTERM`, a test point. */
  cause: string | undefined;
}

/** What a life does to itself (common, test-points.ts). */
export interface LifePlan {
  /** As in MIG_TEST_POINTS_PLAN. */
  readonly text: string;
  readonly signal: 'kill' | 'stop';
  /** A life that stopped itself is continued after this. */
  readonly continueAfterMs: number;
}

export interface Service {
  readonly name: string;
  readonly lives: readonly Life[];
  /** Undefined between two lives. */
  readonly pid: number | undefined;
  /** A life that has a plan which has not come true is running. */
  readonly isArmed: boolean;
  kill(): void;
  terminate(): void;
  /** SIGSTOP now, SIGCONT later. */
  freeze(forMs: number): void;
  /** SIGCONT, if it is stopped, for whatever reason. */
  thaw(): void;
  /** The running life is killed; the next has this plan. */
  arm(plan: LifePlan): void;
  /** Not started again. Resolves when it has ended; one that has not after `patienceMs` is killed. */
  end(signal: 'SIGTERM' | 'SIGKILL', patienceMs: number): Promise<void>;
}

export interface ServiceOptions {
  readonly name: string;
  /** Program and arguments. */
  readonly command: () => readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
}

const RESTART_DELAY_MS = 300;
/** It is looked this often whether a life has stopped itself. */
const LOOK_MS = 250;

export function createService(options: ServiceOptions): Service {
  const lives: Life[] = [];
  let child: ChildProcess | undefined;
  let plan: LifePlan | undefined;
  let nextPlan: LifePlan | undefined;
  let released = false;
  let frozen = false;
  let restartTimer: NodeJS.Timeout | undefined;
  const timers = new Set<NodeJS.Timeout>();
  let onRest: (() => void) | undefined;

  function start(): void {
    plan = nextPlan;
    nextPlan = undefined;
    frozen = false;
    const number = lives.length + 1;
    const startedAt = Date.now();
    appendFileSync(options.logFile, `${JSON.stringify({ life: number, startedAt })}\n`);
    const log = openSync(options.logFile, 'a');
    const [program, ...args] = options.command();
    const started = spawn(program, args, {
      env: {
        ...options.env,
        // Chance is not used: the seed only says which life it is.
        ...(plan === undefined ? {} : { MIG_TEST_POINTS_PLAN: `${plan.text};seed=${number}` }),
      },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    child = started;
    const life: Life = {
      number,
      pid: started.pid ?? 0,
      startedAt,
      endedAt: undefined,
      code: null,
      signal: null,
      cause: undefined,
    };
    lives.push(life);
    started.once('error', () => ended(life, 127, null));
    started.once('exit', (code, signal) => ended(life, code, signal));
    if (plan?.signal === 'stop') watchForStop(started, plan);
  }

  function ended(life: Life, code: number | null, signal: NodeJS.Signals | null): void {
    if (life.endedAt !== undefined) return;
    if (signal === 'SIGKILL' && plan?.signal === 'kill') life.cause ??= plan.text;
    Object.assign(life, { endedAt: Date.now(), code, signal });
    child = undefined;
    plan = undefined;
    if (released) onRest?.();
    else restartTimer = setTimeout(start, RESTART_DELAY_MS);
  }

  function later(task: () => void, delayMs: number): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      task();
    }, delayMs);
    timers.add(timer);
  }

  function watchForStop(started: ChildProcess, { continueAfterMs }: LifePlan): void {
    later(() => {
      if (child !== started) return;
      if (!frozen && isStopped(started.pid)) {
        plan = undefined;
        later(() => started.kill('SIGCONT'), continueAfterMs);
      } else watchForStop(started, { text: '', signal: 'stop', continueAfterMs });
    }, LOOK_MS);
  }

  function signal(name: NodeJS.Signals, cause?: string): void {
    const life = lives.at(-1);
    if (child === undefined || life === undefined) return;
    if (cause !== undefined) life.cause ??= cause;
    child.kill(name);
  }

  const service: Service = {
    name: options.name,
    lives,
    get pid() {
      return child?.pid;
    },
    get isArmed() {
      return plan !== undefined && child !== undefined;
    },
    kill: () => signal('SIGKILL', 'SIGKILL'),
    terminate: () => signal('SIGTERM', 'SIGTERM'),
    freeze(forMs) {
      const target = child;
      frozen = true;
      signal('SIGSTOP');
      later(() => {
        if (child !== target) return;
        frozen = false;
        target?.kill('SIGCONT');
      }, forMs);
    },
    thaw() {
      frozen = false;
      signal('SIGCONT');
    },
    arm(next) {
      nextPlan = next;
      service.kill();
    },
    async end(name, patienceMs) {
      released = true;
      clearTimeout(restartTimer);
      for (const timer of timers) clearTimeout(timer);
      if (child === undefined) return;
      const rest = new Promise<void>((resolve) => (onRest = resolve));
      signal('SIGCONT');
      signal(name, name);
      const patience = setTimeout(() => signal('SIGKILL', 'SIGKILL'), patienceMs);
      await rest;
      clearTimeout(patience);
    },
  };
  start();
  return service;
}

/** By /proc (proc(5), state `T`); where there is none, a life that stopped itself is continued at the next calm. */
function isStopped(pid: number | undefined): boolean {
  try {
    const stat = readFileSync(`/proc/${pid ?? 0}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'T';
  } catch {
    return false;
  }
}
