/** One server, one fleet, once: started, measured part by part in one order, and ended. */
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { percentile } from '../reliability/statistics.js';
import type { Figures, PartName } from './figures.js';
import type { LoadProcess } from './processes/load-process.js';
import { cpuMs, diskBytes, residentBytes } from './processes/proc.js';
import type { Use } from './load/protocol.js';
import { createServerPlace, SERVER_SPECS, type RunningServer, type ServerName } from './servers.js';
import type { Security } from './security.js';
import type { Timing } from './timing.js';
import { writtenSince } from './written-files.js';

export interface CellOptions {
  readonly server: ServerName;
  readonly vms: number;
  readonly parts: readonly PartName[];
  readonly timing: Timing;
  readonly folder: string;
  readonly serverCore: number | undefined;
  readonly nodeFlags: readonly string[];
  readonly security: Security;
  readonly load: LoadProcess;
  readonly signal: AbortSignal;
  readonly onStart: (process: { kill(): Promise<void> }) => void;
  /** What begins now. */
  readonly onPart: (part: PartName) => void;
}

export interface Cell {
  readonly figures: Figures;
  /** The share of its core that the server had in parts where it should have had all of it. */
  readonly busy: Partial<Record<PartName, number>>;
}

const KB = 1_024;
const MB = 1_024 * 1_024;
const HOUR_MS = 3_600_000;
/** The rate of a fleet under load, in all: what a controller takes as it is configured by default. */
const LOAD_BEATS_PER_SECOND = 1_000;
/** A server is quiet when it uses less of a second, and is waited for so long. */
const QUIET_CPU_MS = 50;
const QUIET_WITHIN_S = 60;

export async function measureCell(options: CellOptions): Promise<Cell> {
  const { vms, timing, load, signal } = options;
  const figures: Figures = {};
  const busy: Partial<Record<PartName, number>> = {};
  const place = createServerPlace({
    ...options,
    name: options.server,
    folder: path.join(options.folder, options.server),
    core: options.serverCore,
  });
  let server = await place.start();

  const wants = (part: PartName): boolean => {
    if (!options.parts.includes(part) || !SERVER_SPECS[options.server].parts.includes(part)) return false;
    signal.throwIfAborted();
    options.onPart(part);
    return true;
  };
  const rest = (ms: number): Promise<void> => pause(ms, undefined, { signal });
  const note = (part: PartName, use: Use): void => void (busy[part] = use.serverCpuMs / use.elapsedMs);

  try {
    await rest(timing.settleMs);
    const empty = {
      rss: residentBytes(server.pid) ?? 0,
      heap: (await server.probe('collectGarbage')).heapBytes,
    };
    const perVm = (bytes: number, base: number): number => (bytes - base) / vms / KB;

    options.onPart('connect');
    const connected = await load.ask('connect', { target: server.target, vms });
    if (SERVER_SPECS[options.server].parts.includes('connect')) {
      figures.announce = connected.announceMs / 1_000;
      figures.streams = connected.streamsMs / 1_000;
      figures.connect = figures.announce + figures.streams;
      figures.connectCpu = connected.use.serverCpuMs / vms;
      note('connect', connected.use);
    }

    if (wants('memory')) {
      await rest(timing.idleMs);
      figures.rssIdle = perVm(residentBytes(server.pid) ?? 0, empty.rss);
      figures.heapIdle = perVm((await server.probe('collectGarbage')).heapBytes, empty.heap);
      figures.rssIdleCollected = perVm(residentBytes(server.pid) ?? 0, empty.rss);
    }

    if (wants('commands')) {
      const idle = await load.ask('roundTrips', { count: timing.roundTrips });
      figures.commandIdleP50 = percentile(idle.timesMs, 0.5);
      figures.commandIdleP99 = percentile(idle.timesMs, 0.99);
      await load.ask('beat', { intervalMs: (vms / LOAD_BEATS_PER_SECOND) * 1_000 });
      await rest(timing.settleMs);
      const loaded = await load.ask('roundTrips', { count: timing.roundTrips });
      await load.ask('stopBeating', {});
      figures.commandLoadP50 = percentile(loaded.timesMs, 0.5);
      figures.commandLoadP99 = percentile(loaded.timesMs, 0.99);
    }

    if (wants('steady')) Object.assign(figures, await steady(server, empty));

    if (wants('heartbeats')) {
      await server.probe('resetDelay');
      const { heartbeats, use } = await load.ask('saturate', timing);
      figures.heartbeats = (heartbeats / use.elapsedMs) * 1_000;
      figures.cpuPerBeat = (use.serverCpuMs * 1_000) / heartbeats;
      figures.saturatedDelayP99 = (await server.probe('look')).delayP99Ms;
      note('heartbeats', use);
    }

    if (wants('drain')) {
      const { allMs, use } = await load.ask('drain', {});
      figures.drain = allMs / 1_000;
      figures.drainCpu = use.serverCpuMs / vms;
      note('drain', use);
    }

    if (wants('restart')) {
      const ends = load.ask('awaitEnds', {});
      const startedMs = performance.now();
      await Promise.all([server.kill(), ends]);
      server = await place.start();
      figures.restartListens = (performance.now() - startedMs) / 1_000;
      const { streamsMs } = await load.ask('reconnect', { target: server.target });
      figures.restart = (performance.now() - startedMs) / 1_000;
      figures.restartStreams = streamsMs / 1_000;
    }
    await load.ask('close', {});
    await server.stop();
  } finally {
    await server.kill();
  }
  return { figures, busy };

  /** What the fleet's beginning has left to do, such as files that come after their answers, is no part of its steady life. */
  async function untilQuiet(running: RunningServer): Promise<void> {
    for (let seconds = 0; seconds < QUIET_WITHIN_S; seconds += 1) {
      const before = cpuMs(running.pid) ?? 0;
      await rest(1_000);
      if ((cpuMs(running.pid) ?? 0) - before < QUIET_CPU_MS) return;
    }
  }

  async function steady(running: RunningServer, empty: { rss: number; heap: number }): Promise<Figures> {
    await untilQuiet(running);
    await load.ask('beat', { intervalMs: timing.intervalMs });
    // The first heartbeat of a VM still belongs to its beginning: its record says so.
    await rest(timing.intervalMs);
    await running.probe('resetDelay');
    const startedAt = Date.now();
    const before = { cpu: cpuMs(running.pid) ?? 0, disk: diskBytes(running.pid) ?? 0, ms: performance.now() };
    await rest(timing.steadyMs);
    const elapsedMs = performance.now() - before.ms;
    const usedMs = (cpuMs(running.pid) ?? 0) - before.cpu;
    const disk = (diskBytes(running.pid) ?? 0) - before.disk;
    const delayP99Ms = (await running.probe('look')).delayP99Ms;
    const rss = residentBytes(running.pid) ?? 0;
    const files = writtenSince(place.dataDirectory, startedAt);
    await load.ask('stopBeating', {});
    const perVmAndHour = HOUR_MS / elapsedMs / vms;
    const stores = options.server === 'controller';
    return {
      steadyCpu: (usedMs / elapsedMs) * 100,
      steadyCpuPerBeat: (usedMs * 1_000) / ((elapsedMs / timing.intervalMs) * vms),
      steadyDelayP99: delayP99Ms,
      steadyRss: rss / MB,
      rssBeating: (rss - empty.rss) / vms / KB,
      heapBeating: ((await running.probe('collectGarbage')).heapBytes - empty.heap) / vms / KB,
      ...(stores ? { files: files * perVmAndHour, bytes: disk * perVmAndHour } : {}),
    };
  }
}
