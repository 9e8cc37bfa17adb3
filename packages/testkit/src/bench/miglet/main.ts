/** `npm run bench:miglet`. Exit codes: 0 measured, 1 could not measure, 2 wrong flags, 130 ended by Ctrl-C. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { errorMessage } from '@mig/common/errors';
import { interruptible } from '../interruptible.js';
import { median } from '../results.js';
import { toDigits } from '../table.js';
import { measureMiglet, type MigletFigures } from './measure.js';
import { MIGLET_BENCH_HELP, readMigletBenchOptions, type MigletBenchOptions } from './options.js';
import { startSmallController } from './small-controller.js';

/** Each with its unit, and what the MIGlet is meant to stay within. */
const ROWS: readonly (readonly [
  keyof MigletFigures,
  title: string,
  unit: string,
  goal: number | undefined,
])[] = [
  ['announcedMs', 'start to announced', 'ms', 400],
  ['readyMs', 'start to ready for a job', 'ms', undefined],
  ['residentMb', 'RSS at rest', 'MB', 60],
  ['cpuPercent', 'CPU at rest', '% of one core', 0.3],
];

async function main(): Promise<number> {
  const reading = readMigletBenchOptions(process.argv.slice(2));
  switch (reading.kind) {
    case 'help':
      process.stdout.write(MIGLET_BENCH_HELP);
      return 0;
    case 'refused':
      for (const fault of reading.faults) process.stderr.write(`bench:miglet: ${fault}\n`);
      process.stderr.write('bench:miglet: "npm run bench:miglet -- --help" lists the flags\n');
      return 2;
    case 'run':
      return measure(reading.options);
  }
}

async function measure({ runs, restMs, jsonFile }: MigletBenchOptions): Promise<number> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-bench-miglet-'));
  const signal = interruptible();
  const figures: MigletFigures[] = [];
  const controller = await startSmallController();
  try {
    for (let run = 1; run <= runs; run += 1) {
      figures.push(
        await measureMiglet({ controller, folder: path.join(folder, String(run)), restMs, signal }),
      );
      process.stderr.write(`run ${run} of ${runs}: done\n`);
    }
  } catch (error) {
    if (signal.aborted) return 130;
    process.stderr.write(`bench:miglet: ${errorMessage(error)}\n`);
    return 1;
  } finally {
    await controller.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
  process.stdout.write(`${ROWS.map((row) => describe(figures, ...row)).join('\n')}\n`);
  if (jsonFile !== undefined)
    writeFileSync(
      jsonFile,
      `${JSON.stringify({ madeAt: new Date().toISOString(), node: process.version, runs: figures }, null, 2)}\n`,
    );
  return 0;
}

function describe(
  figures: readonly MigletFigures[],
  key: keyof MigletFigures,
  title: string,
  unit: string,
  goal: number | undefined,
): string {
  const values = figures.map((each) => each[key]);
  const middle = median(values);
  const range = `${toDigits(Math.min(...values))}-${toDigits(Math.max(...values))}`;
  const verdict =
    goal === undefined ? '' : `  ${middle <= goal ? 'reached' : 'not reached'}: at most ${goal}`;
  return `${title.padEnd(26)}${toDigits(middle).padStart(8)} ${unit.padEnd(14)} (${range})${verdict}`;
}

process.exitCode = await main();
process.exit();
