/**
 * What the runner writes: lines for people on its standard output, and a trace in `_diag`.
 *
 * With ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT the trace goes to standard output too, and every line for people is there
 * twice (github-facts 1.5).
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';

export interface Terminal {
  line(text: string): void;
  /** A line with the time before it: `2026-09-16 15:14:46Z: Listening for Jobs`. */
  stamped(text: string): void;
  /** `√ Settings Saved.` */
  success(text: string): void;
  /** To standard error. */
  error(text: string): void;
  /** To the trace only. */
  trace(component: string, text: string): void;
}

/** `who` begins the trace's file name and, in capitals, its lines: `Runner`, `Worker`. */
export function createTerminal(options: {
  root: string;
  who: 'Runner' | 'Worker';
  env: NodeJS.ProcessEnv;
}): Terminal {
  const folder = path.join(options.root, '_diag');
  const file = path.join(
    folder,
    `${options.who}_${timestamp().replaceAll(/[-:Z]/g, '').replace(' ', '-')}-utc.log`,
  );
  const toStdout = /^(1|true)$/i.test(options.env['ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT'] ?? '');
  mkdirSync(folder, { recursive: true });
  // whoever read our lines may be gone: .NET ignores that, and so does a runner whose supervisor was killed
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

  function trace(component: string, text: string): void {
    const line = `${timestamp()} INFO ${component}] ${text}\n`;
    appendFileSync(file, `[${line}`);
    if (toStdout) process.stdout.write(`[${options.who.toUpperCase()} ${line}`);
  }

  function line(text: string): void {
    process.stdout.write(`${text}\n`);
    trace('Terminal', `WRITE LINE: ${text}`);
  }

  return {
    line,
    stamped: (text) => line(`${timestamp()}: ${text}`),
    success: (text) => line(`√ ${text}`),
    error(text) {
      process.stderr.write(`${text}\n`);
      trace('Terminal', `WRITE ERROR: ${text}`);
    },
    trace,
  };
}

/** .NET's format `u`: `2026-09-16 15:14:46Z`. */
const timestamp = () => `${new Date().toISOString().slice(0, 19).replace('T', ' ')}Z`;
