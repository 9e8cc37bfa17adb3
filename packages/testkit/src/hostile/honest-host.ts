/** The process of the VMs that do what they should, and what it tells. */
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { POOL, type Ground } from '../reliability/ground.js';
import { waitUntil } from '../system/wait.js';
import type { HonestLine } from './honest/honest-main.js';
import type { HostileOptions } from './options.js';
import type { Sample } from './phases.js';
import { goBefore, pin, type Processors } from './processors.js';
import { HOSTILE_VM, type SecureControl } from './secure-control.js';
import { writeSettings } from './settings-file.js';

const START_MS = 60_000;
/** What the first of everything costs belongs to no phase. */
const WARM_UP_MS = 1_500;
const HERE = path.dirname(fileURLToPath(import.meta.url));

export interface Honest {
  readonly samples: readonly Sample[];
  readonly reconnects: readonly { readonly at: number; readonly tookMs: number }[];
  readonly lags: readonly { readonly at: number; readonly lagMs: number }[];
  /** The age of the oldest of their commands that is not recorded. */
  oldestMs(): number;
  readonly troubles: readonly string[];
  stop(): Promise<void>;
}

export async function startHonest(
  ground: Ground,
  control: SecureControl,
  { vms, rate }: HostileOptions,
  processors: Processors | undefined,
): Promise<Honest> {
  const samples: Sample[] = [];
  const reconnects: { at: number; tookMs: number }[] = [];
  const lags: { at: number; lagMs: number }[] = [];
  let oldestMs = 0;
  const troubles: string[] = [];
  let isReady = false;
  const file = writeSettings(ground, 'honest', {
    http: control.controller.http,
    grpc: control.grpc,
    poolId: POOL,
    joinToken: control.joinToken,
    operatorToken: control.adminToken,
    vms,
    rate,
    hostileVmId: HOSTILE_VM,
    parentPid: process.pid,
  });
  const child = ground.start({
    args: [path.join(HERE, 'honest', 'honest-main.js'), file],
    onLog(entry) {
      const line = entry as unknown as HonestLine;
      if (line.event === 'ready') isReady = true;
      else if (line.event === 'done') samples.push(...line.commands);
      else if (line.event === 'reconnected') reconnects.push(line);
      else if (line.event === 'state') {
        lags.push(line);
        ({ oldestMs } = line);
      } else troubles.push(line.what);
    },
  });
  pin(child.pid, processors?.load);
  goBefore(child.pid);
  await waitUntil('the VMs are there', () => isReady, { deadlineMs: START_MS, signal: ground.signal });
  await pause(WARM_UP_MS, undefined, { signal: ground.signal });
  return {
    samples,
    reconnects,
    lags,
    troubles,
    oldestMs: () => oldestMs,
    async stop() {
      child.signal('SIGTERM');
      await child.exited;
    },
  };
}
