/** The process: what it is given, its signals, its exit code. Everything else is in run.ts. */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { createOutput } from './output/output.js';
import { systemCliClock, type Io } from './io.js';
import { runMigctl } from './run.js';

const SIGNAL_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

const interrupted = new AbortController();
// Every request that is under way listens to it.
setMaxListeners(0, interrupted.signal);
let signalled: keyof typeof SIGNAL_CODES | undefined;

function onSignal(signal: keyof typeof SIGNAL_CODES): void {
  // The first asks the command to end well; the second does not wait for it.
  if (signalled !== undefined) process.exit(SIGNAL_CODES[signal]);
  signalled = signal;
  interrupted.abort();
}
process.on('SIGINT', () => onSignal('SIGINT'));
process.on('SIGTERM', () => onSignal('SIGTERM'));

/** Resolves to an empty answer at the end of the input and on Ctrl-C. */
async function ask(question: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // readline takes Ctrl-C for itself.
  terminal.on('SIGINT', () => {
    process.stderr.write('\n');
    onSignal('SIGINT');
    terminal.close();
  });
  const ended = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
  try {
    return await Promise.race([terminal.question(question), ended]);
  } finally {
    terminal.close();
  }
}

const io: Io = {
  stdout: createOutput(process.stdout),
  stderr: createOutput(process.stderr),
  env: process.env,
  clock: systemCliClock,
  fetch: globalThis.fetch,
  interrupted: interrupted.signal,
  ask: process.stdin.isTTY && process.stderr.isTTY ? ask : undefined,
  newKey: randomUUID,
  random: Math.random,
};

const exitCode = await runMigctl(process.argv.slice(2), io);
// Not process.exit(): what is written to a pipe may still be under way.
process.exitCode =
  exitCode === SIGNAL_CODES.SIGINT && signalled !== undefined ? SIGNAL_CODES[signalled] : exitCode;
