/** How the machine feels: by Linux's own files; elsewhere by systeminformation, which is loaded then. */
import type { VmHealth } from '@mig/common/domain/vm';
import { readLinux, type CpuTicks } from './linux-readings.js';

export interface HealthReadings {
  /** Since the machine's start, or, as a number, the load since the last reading in percent. */
  readonly cpu: CpuTicks | number;
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number };
  /** Undefined = none is known to hold the folder. */
  readonly disk: { readonly sizeBytes: number; readonly usedBytes: number } | undefined;
}

/** Undefined = this machine does not tell it that way. */
export type ReadHealth = (directory: string) => Promise<HealthReadings | undefined>;

/** Less time than this says nothing of a load: 0.2 s of one core. The last one is told again. */
const MIN_TICKS = 20;

/**
 * @param directory the disk is the one that holds it, or will when it is made
 * @param ways the first that knows its machine is taken
 * @returns told is the load since the last call; at first, since the machine's start
 */
export function createHealthSampler(
  directory: string,
  ways: readonly ReadHealth[] = process.platform === 'linux' ? [readLinux, readAnywhere] : [readAnywhere],
): () => Promise<VmHealth> {
  let last: CpuTicks = { busy: 0, total: 0 };
  let load = 0;

  function loadOf(cpu: CpuTicks | number): number {
    if (typeof cpu === 'number') return cpu;
    const ticks = cpu.total - last.total;
    if (ticks >= MIN_TICKS) {
      // A counter may go back by a little: the kernel says so of idle time and that of waiting.
      load = Math.min(100, Math.max(0, percent(cpu.busy - last.busy, ticks)));
      last = cpu;
    }
    return load;
  }

  return async () => {
    for (const read of ways) {
      const readings = await read(directory);
      if (readings !== undefined) return toHealth(readings, round(loadOf(readings.cpu)));
    }
    throw new Error('nothing on this machine tells its load');
  };
}

function toHealth({ memory, disk }: HealthReadings, cpuUsagePercent: number): VmHealth {
  // What is cached or buffered can be had at any time: it is not used.
  const usedBytes = memory.totalBytes - memory.availableBytes;
  return {
    cpuUsagePercent,
    memoryUsagePercent: percent(usedBytes, memory.totalBytes),
    diskUsagePercent: percent(disk?.usedBytes ?? 0, disk?.sizeBytes ?? 0),
    memoryTotalBytes: memory.totalBytes,
    memoryUsedBytes: usedBytes,
    diskTotalBytes: disk?.sizeBytes ?? 0,
    diskUsedBytes: disk?.usedBytes ?? 0,
  };
}

/** By systeminformation: where need be it starts other programs, and takes some MB. */
export async function readAnywhere(directory: string): Promise<HealthReadings> {
  const { currentLoad, fsSize, mem } = await import('systeminformation');
  const [load, memory, disks] = await Promise.all([currentLoad(), mem(), fsSize()]);
  const disk = diskOf(disks, directory);
  return {
    cpu: load.currentLoad,
    memory: { totalBytes: memory.total, availableBytes: memory.available },
    disk: disk === undefined ? undefined : { sizeBytes: disk.size, usedBytes: disk.used },
  };
}

interface Disk {
  readonly mount: string;
  readonly size: number;
  readonly used: number;
}

/** The file system that is mounted nearest above the directory. */
export function diskOf(disks: readonly Disk[], directory: string): Disk | undefined {
  const holds = (mount: string): boolean =>
    directory === mount || directory.startsWith(mount.endsWith('/') ? mount : `${mount}/`);
  return disks
    .filter((disk) => holds(disk.mount))
    .sort((a, b) => b.mount.length - a.mount.length)
    .at(0);
}

const round = (value: number): number => Math.round(value * 100) / 100;
const percent = (part: number, whole: number): number => (whole > 0 ? round((part / whole) * 100) : 0);
