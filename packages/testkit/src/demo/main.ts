/** `npm start`. Exit codes: 0 ended by a signal, 1 could not start or the controller ended, 2 wrong flags. */
import { errorMessage } from '@mig/common/errors';
import { startDemo, type Demo } from './demo.js';
import { DemoFailedError } from './demo-failed.js';
import { createNarrator } from './narrator.js';
import { DEMO_HELP, readDemoOptions } from './options.js';

/** npm and the terminal both pass on the one Ctrl-C of a person: signals this close together are one. */
const SAME_SIGNAL_MS = 500;
const PARENT_CHECK_MS = 1_000;

async function main(): Promise<number> {
  const reading = readDemoOptions(process.argv.slice(2));
  if (reading.kind === 'help') {
    process.stdout.write(DEMO_HELP);
    return 0;
  }
  if (reading.kind === 'refused') {
    for (const fault of reading.faults) process.stderr.write(`npm start: ${fault}\n`);
    process.stderr.write('npm start: "npm start -- --help" lists the flags\n');
    return 2;
  }

  const narrator = createNarrator(
    (text) => process.stdout.write(text),
    () => new Date(),
  );
  const signals = createSignals();
  let demo: Demo;
  try {
    demo = await startDemo(reading.options, narrator, process.env);
  } catch (error) {
    process.stderr.write(
      `npm start: ${error instanceof DemoFailedError ? error.message : errorMessage(error)}\n`,
    );
    return 1;
  }

  const reason = await Promise.race([
    signals.next(),
    demo.broken.then((exit) => ({ broken: exit.lastError || `exit code ${exit.code ?? 'unknown'}` })),
  ]);
  if (typeof reason === 'object') process.stderr.write(`npm start: the controller ended: ${reason.broken}\n`);
  else
    narrator.print(`\n  ${reason}: the VMs drain (a running job ends first); once more ends the jobs too.\n`);
  void signals.next().then(() => {
    narrator.print('\n  Once more: running jobs are ended.\n');
    void demo.stop();
    void signals.next().then(() => demo.kill());
  });
  await demo.stop();
  narrator.print('  Everything has ended. Its data is kept for the next start.');
  return typeof reason === 'object' ? 1 : 0;
}

/** Requests to end, one at a time: signals, and the end of the process that started this one. */
function createSignals(): { next(): Promise<string> } {
  const waiting: ((name: string) => void)[] = [];
  const early: string[] = [];
  let lastAtMs = -Infinity;
  const arrive = (name: string): void => {
    const nowMs = performance.now();
    if (nowMs - lastAtMs < SAME_SIGNAL_MS) return;
    lastAtMs = nowMs;
    const resolve = waiting.shift();
    if (resolve) resolve(name);
    else early.push(name);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => arrive(name));
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    arrive('the terminal is gone');
  }, PARENT_CHECK_MS);
  timer.unref();
  return {
    next() {
      const name = early.shift();
      return name === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(name);
    },
  };
}

process.exitCode = await main();
process.exit();
