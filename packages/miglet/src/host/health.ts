/** How the machine feels, by systeminformation. */
import { currentLoad, fsSize, mem } from 'systeminformation';
import type { VmHealth } from '@mig/common/domain/vm';

/** The load since the last call; the disk is the one that holds `directory`. */
export async function sampleHealth(directory: string): Promise<VmHealth> {
  const [load, memory, disks] = await Promise.all([currentLoad(), mem(), fsSize()]);
  const disk = diskOf(disks, directory);
  // What is cached or buffered can be had at any time: it is not used.
  const usedBytes = memory.total - memory.available;
  return {
    cpuUsagePercent: round(load.currentLoad),
    memoryUsagePercent: percent(usedBytes, memory.total),
    diskUsagePercent: percent(disk?.used ?? 0, disk?.size ?? 0),
    memoryTotalBytes: memory.total,
    memoryUsedBytes: usedBytes,
    diskTotalBytes: disk?.size ?? 0,
    diskUsedBytes: disk?.used ?? 0,
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
