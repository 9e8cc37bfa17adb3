/** `npm run chaos`. Exit codes: 0 every promise held, 1 one was broken or nothing ran, 2 wrong flags, 130 ended by a signal. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { processesOf } from '../system/processes-of.js';
import { runChaos, type ChaosProgress, type ChaosResult } from './chaos.js';
import { CHAOS_HELP, readChaosOptions, type ChaosOptions } from './options.js';
import { createPlan } from './plan.js';
import { describeStep } from './steps.js';
import { describeProgress, toJson, toText } from './report.js';
import { createWorld, type World } from './world.js';

const PROGRESS_MS = 5_000;
const MAX_DEFAULT_SEED = 1_000_000;

async function main(): Promise<number> {
  const reading = readChaosOptions(process.argv.slice(2), Date.now() % MAX_DEFAULT_SEED);
  if (reading.kind === 'help') {
    process.stdout.write(CHAOS_HELP);
    return 0;
  }
  if (reading.kind === 'refused') {
    for (const fault of reading.faults) process.stderr.write(`chaos: ${fault}\n`);
    process.stderr.write('chaos: "npm run chaos -- --help" lists the flags\n');
    return 2;
  }
  const { options } = reading;
  if (options.scheduleOnly) {
    for (const step of createPlan(options).flat()) process.stdout.write(`${describeStep(step)}\n`);
    return 0;
  }
  if (!existsSync('/proc/self/stat')) {
    process.stderr.write('chaos: there is no /proc here: run it on Linux\n');
    return 1;
  }
  try {
    return await run(options);
  } catch (error) {
    process.stderr.write(
      `chaos: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return 1;
  }
}

async function run(options: ChaosOptions): Promise<number> {
  const folder = makeFolder(options.keep);
  const say = (text: string): void =>
    void (options.output === 'text' ? process.stdout : process.stderr).write(`${text}\n`);
  say(
    `seed ${options.seed}, ${options.minutes} min, ${options.vmCount} VMs, ${options.simulatedCount} simulated; in ${folder}`,
  );
  const interruption = interruptible(say);
  let world: World | undefined;
  let progress: ChaosProgress | undefined;
  const startedMs = performance.now();
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    if (progress !== undefined) say(`${String(seconds).padStart(5)} s  ${describeProgress(progress)}`);
  }, PROGRESS_MS);
  let result: ChaosResult | undefined;
  try {
    world = await createWorld({ ...options, folder });
    interruption.onSecond(() => void world?.abandon());
    result = await runChaos({
      world,
      options,
      onProgress: (now) => (progress = now),
      signal: interruption.signal,
    });
  } finally {
    clearInterval(timer);
    const isGood = result?.violations.length === 0 || interruption.signal.aborted;
    const keeps = options.keep !== undefined || !isGood;
    if (keeps) world?.disk.keep();
    await cleanUp(world, folder, keeps);
    if (keeps && result === undefined) say(`Everything is kept in ${folder}`);
  }
  const left = world.disk.unlimited === undefined ? [] : [`a full disk: ${world.disk.unlimited}`];
  const kept = existsSync(folder) ? folder : undefined;
  const report = { options, result, left, kept };
  process.stdout.write(options.output === 'json' ? `${toJson(report)}\n` : `\n${toText(report)}`);
  if (interruption.signal.aborted) return 130;
  return result.violations.length === 0 ? 0 : 1;
}

/** @throws Error if the folder that is asked for holds something */
function makeFolder(keep: string | undefined): string {
  if (keep === undefined) return mkdtempSync(path.join(os.tmpdir(), 'mig-chaos-'));
  const folder = path.resolve(keep);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (readdirSync(folder).length > 0) throw new Error(`--keep ${keep} is not empty: name an empty folder`);
  return folder;
}

async function cleanUp(world: World | undefined, folder: string, keeps: boolean): Promise<void> {
  await world?.abandon();
  // Runners, which their MIGlets left behind: each by its number, and only those that were started for this folder.
  for (const pid of processesOf(folder)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  if (!keeps) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Ctrl-C ends the run in order; once more, at once. */
function interruptible(say: (text: string) => void): {
  readonly signal: AbortSignal;
  onSecond(task: () => void): void;
} {
  const controller = new AbortController();
  let atOnce = (): void => undefined;
  let count = 0;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      count += 1;
      if (count === 1) {
        say(`${name}: everything is told to end; once more ends it at once`);
        controller.abort(new Error(`ended by ${name}`));
      } else atOnce();
    });
  }
  return { signal: controller.signal, onSecond: (task) => (atOnce = task) };
}

process.exitCode = await main();
process.exit();
