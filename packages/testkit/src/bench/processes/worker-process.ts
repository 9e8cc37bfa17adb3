/** A process of the bench that is talked to: started on its core, one question at a time, ended by whoever started it. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { pinned } from './pinning.js';

export interface WorkerProcess {
  readonly pid: number;
  /** Resolves to its answer. @throws Error if it has ended, or ends before it answers */
  ask(request: object): Promise<unknown>;
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; SIGKILL if it is still there after that time. Resolves when it is gone. */
  stop(patienceMs: number): Promise<void>;
  /** Resolves when it is gone, with how and the last lines that it wrote. */
  readonly ended: Promise<Error>;
}

export interface WorkerOptions {
  /** For messages. */
  readonly name: string;
  /** Arguments of Node. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly core: number | undefined;
  /** Everything that it writes. */
  readonly logFile: string;
}

const LAST_LINES = 5;

export function startWorker({ name, args, env, core, logFile }: WorkerOptions): WorkerProcess {
  const [program, ...rest] = pinned(core, [process.execPath, ...args]);
  const log = openSync(logFile, 'a');
  // A group of its own: Ctrl-C is for the harness, which ends its processes in order.
  const child = spawn(program, rest, { env, stdio: ['ignore', log, log, 'ipc'], detached: true });
  closeSync(log);
  let isThere = true;
  const ended = new Promise<Error>((resolve) => {
    const end = (how: string): void => {
      isThere = false;
      resolve(new Error(`${name} ended (${how}): ${lastWords()}`));
    };
    child.once('error', (error) => end(error.message));
    child.once('exit', (code, signal) => end(signal ?? `exit code ${code ?? 'unknown'}`));
  });

  function lastWords(): string {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LAST_LINES).join('\n');
  }

  return {
    pid: child.pid ?? 0,
    ended,

    async ask(request) {
      const answered = new Promise<unknown>((resolve) => child.once('message', resolve));
      if (isThere) child.send(request, () => undefined);
      const gone = ended.then((error) => {
        throw error;
      });
      return Promise.race([answered, gone]);
    },

    async kill() {
      child.kill('SIGKILL');
      await ended;
    },

    async stop(patienceMs) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}
