/** What the figures were made on: they say nothing without it. */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { percentile } from '../reliability/statistics.js';
import type { Pinning } from './processes/pinning.js';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMb: number;
  readonly system: string;
  readonly node: string;
  readonly pinned: string;
  /** One append of 1 KiB and `fdatasync`, a pause after each as between commands, the median; milliseconds. */
  readonly fsyncMs: number;
  /** Load of the machine over the last minute, before the bench began: above 0 it was shared. */
  readonly loadBefore: number;
}

const FSYNCS = 200;
/** One right after another is up to three times faster than one by itself, as a command has it: neither disk nor core have gone to rest. */
const BETWEEN_FSYNCS_MS = 2;

/** @param folder on the disk that the controller writes to */
export async function describeMachine(
  folder: string,
  { serverCore, loadCore, why }: Pinning,
): Promise<Machine> {
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.cpus().length,
    memoryMb: Math.round(os.totalmem() / 2 ** 20),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    pinned: why === '' ? `server on core ${serverCore}, load on core ${loadCore}` : `nothing: ${why}`,
    fsyncMs: await measureFsync(folder),
    loadBefore: os.loadavg()[0] ?? 0,
  };
}

async function measureFsync(folder: string): Promise<number> {
  const file = path.join(folder, 'fsync');
  const descriptor = openSync(file, 'w');
  const kilobyte = Buffer.alloc(1_024, 'x');
  const times: number[] = [];
  while (times.length < FSYNCS) {
    await pause(BETWEEN_FSYNCS_MS);
    const startedMs = performance.now();
    writeSync(descriptor, kilobyte);
    fdatasyncSync(descriptor);
    times.push(performance.now() - startedMs);
  }
  closeSync(descriptor);
  rmSync(file);
  return percentile(times, 0.5);
}

/** A line for a person. */
export const machineLine = (machine: Machine): string =>
  `${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memoryMb / 1_024)} GB, ${machine.system}, Node ${machine.node}; pinned: ${machine.pinned}; one fdatasync ${machine.fsyncMs.toFixed(2)} ms; load before ${machine.loadBefore.toFixed(2)}`;
