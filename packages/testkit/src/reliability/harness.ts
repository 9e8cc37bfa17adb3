/**
 * Runs parts one after another, each in a ground of its own and within its bound, until all are done or a signal ends them, and
 * says what came of it.
 */
import { setMaxListeners } from 'node:events';
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { errorMessage } from '@mig/common/errors';
import { createGround } from './ground.js';
import type { Part } from './part.js';
import { toTable, type PartReport, type Report } from './report.js';

export interface HarnessOptions {
  readonly seed: number;
  /** Folders of parts are kept, for a person to look at. */
  readonly keep: boolean;
  /** Everything that was found is written there. */
  readonly jsonFile: string | undefined;
}

/** npm and the terminal both pass on the one Ctrl-C of a person: signals this close together are one. */
const SAME_SIGNAL_MS = 500;

/** Ends what the part that runs has started. */
let abandon: () => void = () => undefined;

/** Listens for signals from here on. @returns the exit code: 0 every promise held, 1 one did not or a part did not come to its end */
export async function runParts<Options extends HarnessOptions>(
  parts: readonly Part<Options>[],
  options: Options,
): Promise<number> {
  const interrupt = listenForSignals();
  const startedAt = new Date();
  const reports: PartReport[] = [];
  for (const part of parts) {
    if (interrupt.aborted) break;
    reports.push(await runPart(part, options, interrupt));
  }
  const report: Report = {
    startedAt: startedAt.toISOString(),
    machine: describeMachine(),
    options,
    parts: reports,
    durationMs: Date.now() - startedAt.getTime(),
    interrupted: interrupt.aborted ? errorMessage(interrupt.reason) : undefined,
    held: !interrupt.aborted && reports.every((part) => part.verdicts.every((verdict) => verdict.held)),
  };
  process.stdout.write(toTable(report));
  if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, `${JSON.stringify(report, null, 2)}\n`);
  return report.held ? 0 : 1;
}

/** Never rejects: a part that fails has broken its promise to come to an end. */
async function runPart<Options extends HarnessOptions>(
  part: Part<Options>,
  options: Options,
  interrupt: AbortSignal,
): Promise<PartReport> {
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
