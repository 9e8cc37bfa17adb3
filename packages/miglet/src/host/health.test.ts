import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHealthSampler, diskOf, readAnywhere, type HealthReadings } from './health.js';
import { parseCpuTicks, parseMemory, readDisk, readLinux } from './linux-readings.js';

const disk = (mount: string) => ({ mount, size: 100, used: 10 });
const DISKS = [disk('/'), disk('/var'), disk('/var/lib/runner'), disk('/var/lib/run'), disk('/boot')];

describe('disk', () => {
  it.each([
    ['/var/lib/runner', '/var/lib/runner'],
    ['/var/lib/runner/_work/a', '/var/lib/runner'],
    ['/var/lib/running', '/var'],
    ['/var', '/var'],
    ['/variable', '/'],
    ['/home/me', '/'],
    ['/', '/'],
  ])('%s is on the one that is mounted nearest above it, %s', (directory, mount) => {
    expect(diskOf(DISKS, directory)?.mount).toBe(mount);
    expect(diskOf([...DISKS].reverse(), directory)?.mount).toBe(mount);
  });

  it('a machine that shows no file systems, or none above the folder, has none', () => {
    expect(diskOf([], '/var')).toBeUndefined();
    expect(diskOf([disk('/boot')], '/var')).toBeUndefined();
  });
});

describe('health', () => {
  const GIB = 2 ** 30;
  const readings = (cpu: HealthReadings['cpu']): HealthReadings => ({
    cpu,
    memory: { totalBytes: 16 * GIB, availableBytes: 12 * GIB },
    disk: { sizeBytes: 100 * GIB, usedBytes: 33 * GIB },
  });
  /** Says one after the other, and the last one for good. */
  const saying = (...all: (HealthReadings['cpu'] | undefined)[]) => {
    let next = 0;
    return () => {
      const cpu = all[Math.min(next++, all.length - 1)];
      return Promise.resolve(cpu === undefined ? undefined : readings(cpu));
    };
  };

  it('is told in shares and in bytes, and what is cached is not used', async () => {
    expect(await createHealthSampler('/', [saying({ busy: 300, total: 1_000 })])()).toEqual({
      cpuUsagePercent: 30,
      memoryUsagePercent: 25,
      diskUsagePercent: 33,
      memoryTotalBytes: 16 * GIB,
      memoryUsedBytes: 4 * GIB,
      diskTotalBytes: 100 * GIB,
      diskUsedBytes: 33 * GIB,
    });
  });

  it('has the load since the last time; what is asked again at once gets the same', async () => {
    const sample = createHealthSampler('/', [
      saying(
        { busy: 300, total: 1_000 },
        { busy: 1_275, total: 2_300 },
        { busy: 1_280, total: 2_305 },
        { busy: 1_275, total: 2_400 },
      ),
    ]);
    const loads: unknown[] = [];
    for (let turn = 0; turn < 4; turn += 1) loads.push((await sample()).cpuUsagePercent);
    expect(loads).toEqual([30, 75, 75, 0]);
  });

  it('is never more than everything, nor less than nothing, when counters go back', async () => {
    const sample = createHealthSampler('/', [
      saying({ busy: 500, total: 1_000 }, { busy: 600, total: 1_050 }, { busy: 550, total: 1_100 }),
    ]);
    await sample();
    expect((await sample()).cpuUsagePercent).toBe(100);
    expect((await sample()).cpuUsagePercent).toBe(0);
  });

  it('comes by another way where the first does not know the machine', async () => {
    const sample = createHealthSampler('/', [saying(undefined), saying(12.345)]);
    expect((await sample()).cpuUsagePercent).toBe(12.35);
    await expect(createHealthSampler('/', [saying(undefined)])()).rejects.toThrow(
      /nothing .* tells its load/,
    );
  });

  it('of a machine without a known disk has none in it', async () => {
    const sample = createHealthSampler('/', [() => Promise.resolve({ ...readings(0), disk: undefined })]);
    expect(await sample()).toMatchObject({ diskUsagePercent: 0, diskTotalBytes: 0, diskUsedBytes: 0 });
  });

  it('by systeminformation is that of this machine', async () => {
    const { cpu, memory } = await readAnywhere(os.tmpdir());
    expect(cpu).toBeGreaterThanOrEqual(0);
    expect(memory.totalBytes).toBeGreaterThan(memory.availableBytes);
  });
});

// As Linux 6.18 writes it, with 2 cores.
const STAT = `cpu  1393721 264 310558 5253287 29823 100 8472 9051 77 5
cpu0 700000 132 155279 2626643 14911 50 4236 4525 0 0
cpu1 693721 132 155279 2626644 14912 50 4236 4526 0 0
intr 219041384 0 9 0
ctxt 417712163
btime 1763715600
`;
const MEMINFO = `MemTotal:       24609276 kB
MemFree:         9406988 kB
MemAvailable:   21230404 kB
Buffers:          456232 kB
Cached:         10934100 kB
SwapTotal:             0 kB
HugePages_Total:       0
`;

describe('the files of Linux', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'mig-health-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text: string): void => writeFileSync(path.join(folder, name), text);

  it('say how long the cores worked: waiting is not work, what the host took away is, and guests count once', () => {
    const busy = 1_393_721 + 264 + 310_558 + 100 + 8_472 + 9_051;
    expect(parseCpuTicks(STAT)).toEqual({ busy, total: busy + 5_253_287 + 29_823 });
    // Linux before 2.6 had four numbers.
    expect(parseCpuTicks('cpu  10 20 30 40\ncpu0 10 20 30 40\n')).toEqual({ busy: 60, total: 100 });
  });

  it('say how much memory there is and can be had; a container may show more to be had than there is', () => {
    expect(parseMemory(MEMINFO)).toEqual({
      totalBytes: 24_609_276 * 1_024,
      availableBytes: 21_230_404 * 1_024,
    });
    expect(parseMemory('MemTotal:    100 kB\nMemAvailable:    200 kB\n')).toEqual({
      totalBytes: 102_400,
      availableBytes: 102_400,
    });
  });

  it('that say it otherwise, or not at all, say nothing', async () => {
    for (const text of ['', 'cpu\n', 'cpu  a b c d\n', 'cpu0 1 2 3 4\n'])
      expect(parseCpuTicks(text)).toBeUndefined();
    for (const text of ['', 'MemTotal: 5 kB\n', 'MemAvailable: 5 kB\n', 'MemTotal: 5\nMemAvailable: 5\n'])
      expect(parseMemory(text)).toBeUndefined();
    expect(await readLinux(folder, folder)).toBeUndefined();
    write('stat', STAT);
    write('meminfo', 'MemTotal:       24609276 kB\nMemFree:         9406988 kB\n');
    expect(await readLinux(folder, folder)).toBeUndefined();
    write('meminfo', MEMINFO);
    expect(await readLinux(folder, folder)).toMatchObject({
      cpu: parseCpuTicks(STAT),
      memory: parseMemory(MEMINFO),
    });
  });

  it('say how full the disk of the folder is, also of one that is still to be made', async () => {
    const { bsize, blocks } = await statfs(folder);
    for (const directory of [folder, path.join(folder, 'runner', '_work')]) {
      const found = await readDisk(directory);
      expect(found?.sizeBytes).toBe(blocks * bsize);
      expect(found?.usedBytes).toBeGreaterThan(0);
    }
    write('file', '');
    expect(await readDisk(path.join(folder, 'file', 'below'))).toBeUndefined();
    mkdirSync(path.join(folder, 'made'));
    expect(await readDisk(path.join(folder, 'made'))).toBeDefined();
  });
});
