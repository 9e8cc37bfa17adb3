/** `npm run bench`. Exit codes: 0 measured, 1 could not measure, 2 wrong flags, 130 ended by Ctrl-C. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { errorMessage } from '@mig/common/errors';
import { runBench } from './bench.js';
import { FIGURES } from './figures.js';
import { RATIOS_TO, toGoals } from './goals.js';
import { interruptible } from './interruptible.js';
import { describeMachine, machineLine, type Machine } from './machine.js';
import { BENCH_HELP, hasRatios, readBenchOptions, type BenchOptions } from './options.js';
import { toSvg } from './plot.js';
import { findPinning } from './processes/pinning.js';
import { cpuMs } from './processes/proc.js';
import { createProgress } from './progress.js';
import { summarize, type Measured } from './results.js';
import { assertBuilt, SERVER_SPECS } from './servers.js';
import { toTable } from './table.js';

async function main(): Promise<number> {
  const reading = readBenchOptions(process.argv.slice(2));
  switch (reading.kind) {
    case 'help':
      process.stdout.write(BENCH_HELP);
      return 0;
    case 'refused':
      for (const fault of reading.faults) process.stderr.write(`bench: ${fault}\n`);
      process.stderr.write('bench: "npm run bench -- --help" lists the flags\n');
      return 2;
    case 'run':
      return measure(reading.options);
  }
}

async function measure(options: BenchOptions): Promise<number> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-bench-'));
  const progress = createProgress(process.stderr);
  const signal = interruptible();
  const measured: Measured[] = [];
  const startedMs = performance.now();
  let machine: Machine | undefined;
  try {
    if (cpuMs(process.pid) === undefined) throw new Error('there is no /proc here: run it on Linux');
    assertBuilt();
    const pinning = findPinning();
    machine = await describeMachine(folder, pinning);
    progress.say(machineLine(machine));
    await runBench(options, {
      folder,
      pinning,
      progress,
      signal,
      onMeasured(one) {
        measured.push(one);
        const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
        progress.say(
          `${minutes.padStart(5)} min  run ${one.run} of ${options.runs}, ${one.vms} VMs, ${SERVER_SPECS[one.server].title}: done`,
        );
      },
    });
    report(options, machine, measured);
    return 0;
  } catch (error) {
    if (!signal.aborted) process.stderr.write(`bench: ${errorMessage(error)}\n`);
    // What was measured took its time, and is true all the same.
    if (machine !== undefined && measured.length > 0) report(options, machine, measured);
    return signal.aborted ? 130 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

function report(options: BenchOptions, machine: Machine, measured: readonly Measured[]): void {
  const summaries = summarize(measured, (figure) => FIGURES[figure].part);
  const lines = [
    toTable(summaries),
    `${Math.max(...measured.map(({ run }) => run))} of ${options.runs} runs, medians (least-most)${hasRatios(options) ? `; ${RATIOS_TO}` : ''}`,
    '',
    ...toGoals(summaries, machine.fsyncMs),
  ];
  process.stdout.write(`\n${lines.join('\n')}\n`);
  if (options.jsonFile !== undefined)
    writeFileSync(
      options.jsonFile,
      `${JSON.stringify({ madeAt: new Date().toISOString(), machine, options, figures: FIGURES, summaries, runs: measured }, null, 2)}\n`,
    );
  if (options.svgFile !== undefined) writeFileSync(options.svgFile, toSvg(summaries));
}

process.exitCode = await main();
process.exit();
