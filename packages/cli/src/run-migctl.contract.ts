/** Runs migctl in a test: real HTTP, a clock that jumps, and everything that it writes. */
import { InterruptedError } from './errors.js';
import type { CliClock } from './io.js';
import { createOutput, type OutputStream } from './output/output.js';
import { runMigctl } from './run.js';
import { NOW, type ScriptedController } from './scripted-controller.contract.js';

/** A wait takes no time; what was planned for the time that it skips is done first. */
export class JumpingClock implements CliClock {
  elapsedMs = 0;
  private readonly plans: { readonly atMs: number; readonly act: () => void | Promise<void> }[] = [];

  /** Plans something for `atMs` after the start. */
  at(atMs: number, act: () => void | Promise<void>): this {
    this.plans.push({ atMs, act });
    this.plans.sort((a, b) => a.atMs - b.atMs);
    return this;
  }

  now = (): number => NOW + this.elapsedMs;
  monotonicMs = (): number => this.elapsedMs;

  async sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    const untilMs = this.elapsedMs + delayMs;
    for (let plan = this.plans[0]; plan !== undefined && plan.atMs <= untilMs; plan = this.plans[0]) {
      this.plans.shift();
      this.elapsedMs = Math.max(this.elapsedMs, plan.atMs);
      await plan.act();
    }
    this.elapsedMs = untilMs;
    await new Promise(setImmediate);
    if (signal.aborted) throw new InterruptedError();
  }
}

export interface RunOptions {
  readonly controller?: ScriptedController;
  readonly clock?: JumpingClock;
  readonly env?: Record<string, string>;
  /** Both outputs are terminals of 100 columns. */
  readonly tty?: boolean;
  /** Width of the terminals now. */
  readonly columns?: () => number;
  readonly interrupt?: AbortController;
  readonly answers?: string[];
  readonly stdout?: OutputStream;
  readonly fetch?: typeof globalThis.fetch;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What was asked at the terminal. */
  readonly asked: string[];
}

export async function migctl(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written): OutputStream => ({
    write: (text, taken) => {
      written[name] += typeof text === 'string' ? text : Buffer.from(text).toString();
      taken?.();
    },
    on: () => undefined,
    ...(options.tty === true ? { isTTY: true, rows: 30 } : {}),
    get columns() {
      return options.tty === true ? (options.columns?.() ?? 100) : undefined;
    },
  });
  const { answers } = options;
  const asked: string[] = [];
  let keys = 0;
  const code = await runMigctl(argv, {
    stdout: createOutput(options.stdout ?? stream('stdout')),
    stderr: createOutput(stream('stderr')),
    env: {
      ...(options.controller === undefined ? {} : { MIGCTL_SERVER: options.controller.url }),
      ...options.env,
    },
    clock: options.clock ?? new JumpingClock(),
    fetch: options.fetch ?? globalThis.fetch,
    interrupted: (options.interrupt ?? new AbortController()).signal,
    ask:
      answers === undefined
        ? undefined
        : (question) => {
            asked.push(question);
            return Promise.resolve(answers.shift() ?? '');
          },
    newKey: () => `key-${(keys += 1)}`,
    random: () => 0.5,
  });
  return { code, ...written, asked };
}
