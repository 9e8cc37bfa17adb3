/** Jobs on this VM, made from its settings; and what a drain and a shutdown mean for them. */
import { statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Clock } from '@mig/common/clock';
import type { Resources } from '@mig/common/domain/job';
import type { Logger } from '@mig/common/logger';
import type { MigletConfig } from '../config.js';
import type { ControllerAccess } from '../controller-link/access.js';
import type { DrainRequest, ShutdownRequest, UndrainRequest } from '../machine/types.js';
import type { MigletStatus } from '../machine/status.js';
import { createExecutors, endOrphans } from '../tasks/tasks.js';
import { createNodeClient } from './node-client.js';
import { startJobNode, type NodeMood } from './node.js';

/** What the MIGlet gives to its jobs. */
export interface JobsContext {
  readonly access: ControllerAccess;
  readonly status: () => MigletStatus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface Jobs {
  /** Told before the machine is. */
  onRequest(event: { readonly type: string } | DrainRequest | UndrainRequest | ShutdownRequest): void;
  /** Calls `then` when the drain of this command may be said to have ended: at once, or when no job runs any more. */
  whenDrained(commandId: string, then: () => void): void;
  /** Resolves when no job runs. */
  idle(): Promise<void>;
  stop(reason: string): Promise<void>;
}

export interface JobsDeps extends JobsContext {
  readonly config: MigletConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const MEGABYTE = 2 ** 20;

export function startJobs({ config, env, access, status, clock, logger, random }: JobsDeps): Jobs {
  const settings = config.jobs;
  const owner = path.resolve(config.state_dir);
  endOrphans(owner, logger);
  const executors = createExecutors(config, env);
  const drains = new Set<string>();
  let deadlineTimer: unknown;

  const node = startJobNode(
    {
      client: createNodeClient(config.vm_id, access),
      run: executors.run,
      mood: () => moodOf(status()),
      resources: () => resourcesOf(settings),
      clock,
      logger,
      random,
    },
    {
      nodeId: config.vm_id,
      metadata: () => ({
        ...settings.metadata,
        pool: config.pool_id,
        labels: status().runner.labels.join(','),
        ...(settings.datacenter === '' ? {} : { datacenter: settings.datacenter }),
      }),
      beside: settings.when === 'beside',
      maxJobs: settings.max_parallel,
      pollMs: settings.poll,
      heartbeatMs: settings.heartbeat,
      graceMs: config.tasks.grace,
    },
  );

  function limit(deadlineMs: number): void {
    clock.clearTimer(deadlineTimer);
    deadlineTimer =
      deadlineMs === 0
        ? undefined
        : clock.setTimer(() => node.abort('the deadline of the drain has passed'), deadlineMs);
  }

  return {
    onRequest(event) {
      if (isRequest(event, 'drain.request')) {
        if (event.commandId !== undefined) drains.add(event.commandId);
        if (event.force) node.abort('the VM is drained by force');
        else limit(event.deadlineMs ?? config.drain.deadline);
      } else if (isRequest(event, 'shutdown.request')) {
        if (event.force) node.abort('the VM is shut down by force');
      } else if (event.type === 'undrain.request') limit(0);
    },
    whenDrained(commandId, then) {
      if (drains.delete(commandId) && node.runningCount > 0) void node.idle().then(then);
      else then();
    },
    idle: () => node.idle(),
    async stop(reason) {
      limit(0);
      await node.stop(reason);
      await executors.close();
    },
  };
}

interface Requests {
  readonly 'drain.request': DrainRequest;
  readonly 'shutdown.request': ShutdownRequest;
}
const isRequest = <Type extends keyof Requests>(
  event: { readonly type: string },
  type: Type,
): event is Requests[Type] => event.type === type;

/** The runner comes first: while it has a job, and while the VM is on its way out. */
function moodOf({ state, job }: MigletStatus): NodeMood {
  if (state.startsWith('draining') || state.startsWith('shutdown')) return 'draining';
  return job === undefined ? 'open' : 'busy';
}

async function resourcesOf(settings: MigletConfig['jobs']): Promise<Resources> {
  return {
    ramMb: settings.ram_mb || Math.floor(os.totalmem() / MEGABYTE),
    cpuPercent: settings.cpu_percent || os.availableParallelism() * 100,
    diskMb: settings.disk_mb || (await freeDiskMb()),
  };
}

async function freeDiskMb(): Promise<number> {
  const { bavail, bsize } = await statfs(os.tmpdir());
  return Math.floor((bavail * bsize) / MEGABYTE);
}
