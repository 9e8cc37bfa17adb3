import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { until } from '../github/until.js';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child process whose lines can be waited for. */
export interface ObservedProcess {
  readonly pid: number;
  /** Lines of standard output and standard error so far, in the order in which they came. */
  readonly lines: readonly string[];
  /** Resolves when it has ended and its output is read. */
  readonly exited: Promise<Exit>;
  /** The first line that matches, as soon as it is there. Rejects after `deadlineMs` (default 5 s), with all lines. */
  waitForLine(pattern: RegExp, deadlineMs?: number): Promise<string>;
  kill(signal: NodeJS.Signals): void;
}

/** @param env all that the process has as environment */
export function startObserved(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): ObservedProcess {
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return {
    pid: child.pid ?? 0,
    lines,
    exited,
    async waitForLine(pattern, deadlineMs) {
      try {
        return await until(String(pattern), () => lines.find((line) => pattern.test(line)), deadlineMs);
      } catch (error) {
        throw new Error(`${path(file)} did not print ${String(pattern)}; it printed:\n${lines.join('\n')}`, {
          cause: error,
        });
      }
    },
    kill: (signal) => child.kill(signal),
  };
}

const path = (file: string) => file.split('/').slice(-2).join('/');
