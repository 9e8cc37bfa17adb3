/** All runs: each takes every server with every fleet, so that what drifts in the machine drifts for all of them. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { measureCell } from './cell.js';
import { SERVER_SPECS, type ServerName } from './servers.js';
import type { BenchOptions } from './options.js';
import type { Pinning } from './processes/pinning.js';
import { startLoad } from './processes/load-process.js';
import type { Progress } from './progress.js';
import { prepareSecurity } from './security.js';
import type { Measured } from './results.js';

export interface BenchDeps {
  /**
   * Empty; everything that the servers leave is there. It stays until all is measured: where many files were just removed, some file
   * systems are slow to make new ones.
   */
  readonly folder: string;
  readonly pinning: Pinning;
  readonly progress: Progress;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Called with what has been measured, after each server. */
  readonly onMeasured: (measured: Measured) => void;
}

/** @throws Error with what went wrong, after every process has ended; the signal's reason if it was ended early */
export async function runBench(options: BenchOptions, deps: BenchDeps): Promise<void> {
  const { folder, pinning, progress, signal } = deps;
  const security = prepareSecurity(options, path.join(folder, 'security'));
  const load = startLoad({ core: pinning.loadCore, logFile: path.join(folder, 'load.log') });
  const processes = new Set<{ kill(): Promise<void> }>([load]);
  const cells = cellsOf(options);
  let done = 0;
  // What is being asked of a process is answered by its end.
  const onAbort = (): void => processes.forEach((process) => void process.kill());
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (const { run, vms, server } of cells) {
      signal.throwIfAborted();
      const cellFolder = path.join(folder, `${run}-${vms}`);
      const cell = await measureCell({
        server,
        vms,
        parts: options.only,
        timing: options.timing,
        folder: cellFolder,
        serverCore: pinning.serverCore,
        nodeFlags: profileFlags(options, server),
        security,
        load,
        signal,
        onStart: (process) => processes.add(process),
        onPart: (part) =>
          progress.show(
            done / cells.length,
            `run ${run}, ${vms} VMs, ${SERVER_SPECS[server].title}: ${part}`,
          ),
      });
      done += 1;
      deps.onMeasured({ ...cell, server, vms, run });
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    await Promise.all([...processes].map((process) => process.kill()));
    progress.end();
  }
}

/** A server that has none of the wanted parts is left out. */
function cellsOf({ runs, vms, servers, only }: BenchOptions) {
  const wanted = servers.filter((server) => SERVER_SPECS[server].parts.some((part) => only.includes(part)));
  return Array.from({ length: runs }, (_, index) => index + 1).flatMap((run) =>
    vms.flatMap((count) => wanted.map((server) => ({ run, vms: count, server }))),
  );
}

function profileFlags({ profileFolder }: BenchOptions, server: ServerName): string[] {
  if (profileFolder === undefined || server !== 'controller') return [];
  mkdirSync(profileFolder, { recursive: true });
  return ['--cpu-prof', `--cpu-prof-dir=${path.resolve(profileFolder)}`];
}
