/** A fleet of simulated VMs in several processes, so that some can be killed while the others go on. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Child } from '../system/child-process.js';
import { waitUntil } from '../system/wait.js';
import type { Control, FleetProcessOptions, Ground } from './ground.js';

export interface FleetHosts {
  readonly vmIds: readonly string[];
  readonly hostCount: number;
  /** SIGKILL to all VMs of this process; they are started again, in the same boot, after `downMs`. Resolves when they run. */
  kill(host: number, downMs: number): Promise<void>;
  /** From here on no VM is given a job. */
  stopGivingJobs(): void;
  /** Ends that nobody asked for, in words. */
  readonly crashes: readonly string[];
}

export interface FleetHostsOptions extends Pick<
  FleetProcessOptions,
  'endpoint' | 'prefix' | 'kept' | 'jobs' | 'reconnect'
> {
  readonly count: number;
  readonly hostCount: number;
}

export function startFleetHosts(ground: Ground, options: FleetHostsOptions): FleetHosts {
  const { count, hostCount, prefix } = options;
  const crashes: string[] = [];
  const perHost = Math.ceil(count / hostCount);
  const seeds = Array.from({ length: hostCount }, () => 1 + Math.floor(ground.random() * 2 ** 30));
  const expected = new Set<Child>();
  const starts = seeds.map(() => 0);
  let givesJobs = true;

  /** @returns the process; `up` resolves when it has made its VMs, or has ended */
  function start(host: number): { readonly child: Child; readonly up: Promise<unknown> } {
    let isUp: () => void = () => undefined;
    const up = new Promise<void>((resolve) => (isUp = resolve));
    const first = 1 + host * perHost;
    starts[host] = (starts[host] ?? 0) + 1;
    const child = ground.startFleet({
      ...options,
      first,
      count: Math.min(perHost, count - first + 1),
      // A process that is started again does not repeat the chances of the one before.
      seed: (seeds[host] ?? 0) + (starts[host] ?? 0),
      ...(givesJobs && options.jobs !== undefined ? { jobs: options.jobs } : {}),
      onLog: isUp,
    });
    void child.exited.then((exit) => {
      if (expected.has(child) || ground.signal.aborted || exit.code === 0) return;
      crashes.push(
        `fleet process ${host + 1}: ${exit.lastError || (exit.signal ?? `exit code ${exit.code ?? 0}`)}`,
      );
      ground.say(`ended by itself: ${crashes.at(-1) ?? ''}`);
    });
    return { child, up: Promise.race([up, child.exited]) };
  }

  const children = seeds.map((_, host) => start(host).child);
  ground.onCleanUp(() => children.forEach((child) => expected.add(child)));
  return {
    vmIds: Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`),
    hostCount,
    crashes,
    async kill(host, downMs) {
      const child = children[host];
      if (child === undefined) throw new Error(`there is no fleet process ${host}`);
      expected.add(child);
      child.signal('SIGKILL');
      await child.exited;
      await pause(downMs, undefined, { signal: ground.signal });
      const started = start(host);
      children[host] = started.child;
      await started.up;
    },
    stopGivingJobs() {
      givesJobs = false;
      if (options.jobs !== undefined) for (const child of children) child.signal('SIGUSR2');
    },
  };
}

/** Resolves when so many VMs of the controller are in this phase, and connected. @returns after how many milliseconds */
export async function waitForVms(
  ground: Ground,
  control: Control,
  wanted: { readonly count: number; readonly state: RegExp; readonly deadlineMs: number },
): Promise<number> {
  const startedAt = performance.now();
  let last = 0;
  await waitUntil(
    `${wanted.count} VMs are connected and ${wanted.state.source}`,
    async () => {
      const vms = await control.api.vms();
      const there = vms.filter((vm) => vm.link === 'connected' && wanted.state.test(vm.state)).length;
      if (there !== last && performance.now() - startedAt > 5_000)
        ground.say(`${there} of ${wanted.count} VMs are there`);
      last = there;
      return there >= wanted.count;
    },
    { deadlineMs: wanted.deadlineMs, everyMs: 500, signal: ground.signal },
  );
  return performance.now() - startedAt;
}
