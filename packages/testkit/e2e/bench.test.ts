/** `npm run bench` with a handful of VMs: what it counts is what there was. How long anything takes is nobody's business here. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CommandResource } from '@mig/common/api/command-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import { runBench } from '@mig/testkit/bench/bench';
import { FIGURE_KEYS } from '@mig/testkit/bench/figures';
import { startLoad, type LoadProcess } from '@mig/testkit/bench/processes/load-process';
import type { Measured } from '@mig/testkit/bench/results';
import { prepareSecurity } from '@mig/testkit/bench/security';
import { createServerPlace, SERVERS, type RunningServer } from '@mig/testkit/bench/servers';
import { QUICK } from '@mig/testkit/bench/timing';
import { until } from '@mig/testkit/github/until';
import { processesOf } from '@mig/testkit/system/processes-of';

const VMS = 20;
const SHORT = {
  ...QUICK,
  settleMs: 10,
  idleMs: 10,
  roundTrips: 5,
  steadyMs: 200,
  intervalMs: 1_000,
  warmUpMs: 10,
  measuredMs: 200,
};
const NOT_PINNED = { serverCore: undefined, loadCore: undefined, why: 'a test' };

let folder = '';
const started = new Set<{ kill(): Promise<void> }>();
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-bench-test-'));
});
afterEach(async () => {
  await Promise.all([...started].map((process) => process.kill()));
  started.clear();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

describe('the load', () => {
  let server: RunningServer;
  let load: LoadProcess;

  async function get<T>(route: string): Promise<T> {
    const { http, operatorToken } = server.target;
    const response = await fetch(`${http}${route}`, {
      headers: { authorization: `Bearer ${operatorToken}` },
    });
    if (!response.ok) throw new Error(`${route}: ${response.status}`);
    return (await response.json()) as T;
  }
  const vms = async (): Promise<VmResource[]> =>
    (await get<{ vms: VmResource[] }>('/api/v1/vms?limit=100')).vms;
  const commands = async (type: string): Promise<CommandResource[]> =>
    (await get<{ commands: CommandResource[] }>('/api/v1/commands?limit=100')).commands.filter(
      (command) => command.type === type,
    );
  const areAll = async (wanted: Partial<VmResource>): Promise<boolean> => {
    const all = await vms();
    return (
      all.length === VMS &&
      all.every((vm) => Object.entries(wanted).every(([key, value]) => vm[key as keyof VmResource] === value))
    );
  };

  test('is so many VMs of a controller that asks for credentials; their commands, and one drain, are carried out and recorded', async () => {
    const place = createServerPlace({
      name: 'controller',
      folder: path.join(folder, 'controller'),
      core: undefined,
      nodeFlags: [],
      security: prepareSecurity({ auth: true, tls: false }, path.join(folder, 'security')),
      signal: AbortSignal.timeout(60_000),
      onStart: (process) => started.add(process),
    });
    server = await place.start();
    load = startLoad({ core: undefined, logFile: path.join(folder, 'load.log') });
    started.add(load);

    await load.ask('connect', { target: server.target, vms: VMS });
    expect(await areAll({ link: 'connected', state: 'ready.idle' })).toBe(true);

    const { timesMs } = await load.ask('roundTrips', { count: 7 });
    expect(timesMs).toHaveLength(7);
    expect((await commands('set_log_level')).map(({ state }) => state)).toEqual(Array(7).fill('completed'));

    await load.ask('beat', { intervalMs: 100 });
    await until('every VM has beaten', async () =>
      (await vms()).every((vm) => vm.health !== undefined && vm.health !== null),
    );
    expect((await load.ask('stopBeating', {})).heartbeats).toBeGreaterThanOrEqual(VMS);
    const { heartbeats } = await load.ask('saturate', { ...SHORT, window: 4, atOnce: 8 });
    expect(heartbeats % 4).toBe(0);
    expect(heartbeats).toBeGreaterThan(0);

    await load.ask('drain', {});
    expect((await commands('drain')).map(({ state }) => state)).toEqual(Array(VMS).fill('completed'));

    const ends = load.ask('awaitEnds', {});
    await server.kill();
    await ends;
    server = await place.start();
    expect((await load.ask('reconnect', { target: server.target })).announcedAgain).toBe(0);
    expect(await areAll({ link: 'connected' })).toBe(true);
  }, 90_000);

  test('says what is wrong with a server that refuses it', async () => {
    load = startLoad({ core: undefined, logFile: path.join(folder, 'load.log') });
    started.add(load);
    const target = {
      http: 'http://127.0.0.1:1',
      grpcHost: '127.0.0.1',
      grpcPort: 1,
      dialect: 'contract' as const,
      pid: process.pid,
      ca: undefined,
      operatorToken: undefined,
      joinToken: undefined,
    };
    await expect(load.ask('connect', { target, vms: 10 })).rejects.toThrow(/^connect: .*ECONNREFUSED/);
  }, 30_000);
});

describe('the bench', () => {
  const options = {
    vms: [VMS],
    runs: 1,
    only: ['connect', 'memory', 'commands', 'steady', 'heartbeats', 'drain', 'restart'] as const,
    servers: SERVERS,
    timing: SHORT,
    auth: true,
    tls: true,
    jsonFile: undefined,
    svgFile: undefined,
    profileFolder: undefined,
  };
  const silent = { show: () => undefined, say: () => undefined, end: () => undefined };

  test('measures every figure of every server, over TLS, and leaves no process, and files in its folder alone', async () => {
    const measured: Measured[] = [];
    await runBench(options, {
      folder,
      pinning: NOT_PINNED,
      progress: silent,
      signal: AbortSignal.timeout(150_000),
      onMeasured: (one) => measured.push(one),
    });
    expect(measured.map(({ server }) => server)).toEqual(SERVERS);
    const [controller, niceGrpc, quiet, , http2] = measured.map(({ figures }) => figures);
    expect(Object.keys(controller ?? {}).sort()).toEqual([...FIGURE_KEYS].sort());
    expect(FIGURE_KEYS.filter((key) => !(key in (niceGrpc ?? {})))).toEqual(['files', 'bytes']);
    expect(Object.keys(quiet ?? {})).toEqual(['heartbeats', 'cpuPerBeat', 'saturatedDelayP99']);
    expect(http2).not.toHaveProperty('drain');
    for (const { figures } of measured)
      for (const value of Object.values(figures)) expect(Number.isNaN(value)).toBe(false);
    expect(processesOf(folder)).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual([`1-${VMS}`, 'load.log', 'security']);
  }, 180_000);

  test('that is ended early ends every process that it has started', async () => {
    const stopping = new AbortController();
    const running = runBench(
      { ...options, tls: false },
      {
        folder,
        pinning: NOT_PINNED,
        progress: {
          ...silent,
          show: (_, what) => what.endsWith(': heartbeats') && stopping.abort(new Error('enough')),
        },
        signal: stopping.signal,
        onMeasured: () => undefined,
      },
    );
    await expect(running).rejects.toThrow('enough');
    expect(processesOf(folder)).toEqual([]);
  }, 60_000);
});
