/** Processor, memory and disk by the files of Linux (proc(5), statfs(2)): three small reads, no other program, no library. */
import { readFile, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { HealthReadings } from './health.js';
import { isSystemError } from './system-error.js';

/** Hundredths of a second of all cores together, since the machine's start. */
export interface CpuTicks {
  readonly busy: number;
  readonly total: number;
}

/**
 * @param proc where proc(5) is mounted
 * @returns undefined where it is not, or does not say what is asked (MemAvailable is of Linux 3.14)
 */
export async function readLinux(directory: string, proc = '/proc'): Promise<HealthReadings | undefined> {
  try {
    const [stat, meminfo, disk] = await Promise.all([
      readFile(path.join(proc, 'stat'), 'utf8'),
      readFile(path.join(proc, 'meminfo'), 'utf8'),
      readDisk(directory),
    ]);
    const cpu = parseCpuTicks(stat);
    const memory = parseMemory(meminfo);
    return cpu === undefined || memory === undefined ? undefined : { cpu, memory, disk };
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

/** Of the first line of /proc/stat. Time that the host gave to others (steal) is busy; that of guests is in `user` already. */
export function parseCpuTicks(stat: string): CpuTicks | undefined {
  const [, fields] = /^cpu +((?:\d+ ?)+)$/m.exec(stat) ?? [];
  if (fields === undefined) return undefined;
  const [user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softIrq = 0, steal = 0] = fields
    .trim()
    .split(' ')
    .map(Number);
  const busy = user + nice + system + irq + softIrq + steal;
  return { busy, total: busy + idle + waiting };
}

/** Of /proc/meminfo. */
export function parseMemory(meminfo: string): HealthReadings['memory'] | undefined {
  const bytes = (name: string): number | undefined => {
    const [, kibibytes] = new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(meminfo) ?? [];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1_024;
  };
  const totalBytes = bytes('MemTotal');
  const availableBytes = bytes('MemAvailable');
  return totalBytes === undefined || availableBytes === undefined
    ? undefined
    : { totalBytes, availableBytes: Math.min(availableBytes, totalBytes) };
}

/** The file system of the folder; of the nearest one above that is there, if it is not made yet. Undefined = none can be read. */
export async function readDisk(directory: string): Promise<HealthReadings['disk']> {
  for (let at = directory; ; at = path.dirname(at)) {
    try {
      const { bsize, blocks, bfree } = await statfs(at);
      return { sizeBytes: blocks * bsize, usedBytes: (blocks - bfree) * bsize };
    } catch (error) {
      if (!isSystemError(error)) throw error;
      if (error.code !== 'ENOENT' || at === path.dirname(at)) return undefined;
    }
  }
}
