/** A process that this one starts: in a group of its own, so that Ctrl-C reaches this one alone, and read line by line. */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last line that it wrote to standard error, or the error that nobody caught. */
  readonly lastError: string;
}

export interface Child {
  readonly pid: number;
  readonly exited: Promise<ChildExit>;
  signal(name: NodeJS.Signals): void;
}

export interface ChildOptions {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** One JSON object per line of standard output; other lines are passed over. */
  readonly onLog: (entry: Readonly<Record<string, unknown>>) => void;
  /** Everything that it writes is appended there, too. Default nowhere. */
  readonly logFile?: string;
}

/** As Node prints an error that ends the process, before its stack. */
const UNCAUGHT = /^\w*Error\b/;

export function startChild(options: ChildOptions): Child {
  const child = spawn(process.execPath, options.args, {
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const log = options.logFile === undefined ? undefined : createWriteStream(options.logFile, { flags: 'a' });
  if (log !== undefined) {
    // A folder that is gone meanwhile is no reason to end.
    log.on('error', () => undefined);
    for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false });
    child.once('close', () => log.end());
  }
  let lastError = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    const entry = parseLine(line);
    if (entry !== undefined) options.onLog(entry);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.trim() !== '' && !UNCAUGHT.test(lastError)) lastError = line;
  });
  const exited = new Promise<ChildExit>((resolve) => {
    child.once('error', (error) => resolve({ code: 1, signal: null, lastError: error.message }));
    child.once('close', (code, signal) => resolve({ code, signal, lastError }));
  });
  return {
    pid: child.pid ?? 0,
    exited,
    signal(name) {
      if (child.exitCode === null && child.signalCode === null) child.kill(name);
    },
  };
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
