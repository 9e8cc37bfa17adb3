/** `npm run reliability`. Exit codes: 0 every promise held, 1 one did not or a part did not come to its end, 2 wrong flags. */
import { setMaxListeners } from 'node:events';
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { errorMessage } from '@mig/common/errors';
import { commandsPart } from './commands-part.js';
import { deadlinePart } from './deadline-part.js';
import { drainPart } from './drain-part.js';
import { effectsPart } from './effects-part.js';
import { createGround } from './ground.js';
import {
  RELIABILITY_HELP,
  readReliabilityOptions,
  type PartName,
  type ReliabilityOptions,
} from './options.js';
import type { Part } from './part.js';
import { recoveryPart } from './recovery-part.js';
import { toTable, type PartReport, type Report } from './report.js';
import { stormPart } from './storm-part.js';

const PARTS: Readonly<Record<PartName, Part>> = {
  commands: commandsPart,
  drain: drainPart,
  deadline: deadlinePart,
  effects: effectsPart,
  recovery: recoveryPart,
  storm: stormPart,
};

/** npm and the terminal both pass on the one Ctrl-C of a person: signals this close together are one. */
const SAME_SIGNAL_MS = 500;

/** Ends what the part that runs has started. */
let abandon: () => void = () => undefined;

async function main(): Promise<number> {
  const reading = readReliabilityOptions(process.argv.slice(2));
  if (reading.kind === 'help') {
    process.stdout.write(RELIABILITY_HELP);
    return 0;
  }
  if (reading.kind === 'refused') {
    for (const fault of reading.faults) process.stderr.write(`reliability: ${fault}\n`);
    process.stderr.write('reliability: "npm run reliability -- --help" lists the flags\n');
    return 2;
  }
  const { options } = reading;
  const interrupt = listenForSignals();
  const startedAt = new Date();
  const parts: PartReport[] = [];
  for (const name of options.only) {
    if (interrupt.aborted) break;
    parts.push(await runPart(PARTS[name], options, interrupt));
  }
  const report: Report = {
    startedAt: startedAt.toISOString(),
    machine: describeMachine(),
    options,
    parts,
    durationMs: Date.now() - startedAt.getTime(),
    interrupted: interrupt.aborted ? errorMessage(interrupt.reason) : undefined,
    held: !interrupt.aborted && parts.every((part) => part.verdicts.every((verdict) => verdict.held)),
  };
  process.stdout.write(toTable(report));
  if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, `${JSON.stringify(report, null, 2)}\n`);
  return report.held ? 0 : 1;
}

/** Never rejects: a part that fails has broken its promise to come to an end. */
async function runPart(part: Part, options: ReliabilityOptions, interrupt: AbortSignal): Promise<PartReport> {
  const boundMs = part.boundMs(options);
  const startedAt = performance.now();
  const say = (text: string): void => {
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0).padStart(4);
    process.stdout.write(`${part.name.padEnd(9)}${seconds} s  ${text}\n`);
  };
  const bound = new AbortController();
  const timer = setTimeout(
    () => bound.abort(new Error(`the part did not end within its bound of ${boundMs / 1_000} s`)),
    boundMs,
  );
  const signal = AbortSignal.any([interrupt, bound.signal]);
  // Every caller of a part waits with it.
  setMaxListeners(0, signal);
  const owned = createGround({
    name: part.name,
    seed: options.seed,
    signal,
    say,
    keep: options.keep,
  });
  const { ground } = owned;
  abandon = owned.abandon;
  say(part.title);
  let result;
  try {
    result = await part.run(ground, options);
  } catch (error) {
    const cause = ground.signal.aborted ? errorMessage(ground.signal.reason) : errorMessage(error);
    result = { figures: [], verdicts: [{ promise: 'comes to its end', held: false, evidence: [cause] }] };
  }
  clearTimeout(timer);
  await owned.cleanUp();
  return { name: part.name, title: part.title, durationMs: performance.now() - startedAt, ...result };
}

/** The first signal ends the part that runs, in order; the second ends everything at once. */
function listenForSignals(): AbortSignal {
  const controller = new AbortController();
  let firstAtMs: number | undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const nowMs = performance.now();
      if (firstAtMs === undefined) controller.abort(new Error(`ended by ${name}`));
      else if (nowMs - firstAtMs > SAME_SIGNAL_MS) {
        abandon();
        process.exit(1);
      }
      firstAtMs ??= nowMs;
    });
  }
  return controller.signal;
}

function describeMachine(): string {
  const [cpu] = os.cpus();
  const memory = (os.totalmem() / 2 ** 30).toFixed(0);
  return `${os.cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${memory} GB, ${os.type()} ${os.release()}, Node ${process.version}`;
}

process.exitCode = await main();
process.exit();
