/** What is known of a VM, in the words of the domain. Times are milliseconds since 1970. */

export const LINKS = ['connected', 'disconnected'] as const;
/** Is a stream of this VM open now? */
export type Link = (typeof LINKS)[number];

export const LIVENESS = ['alive', 'suspect', 'lost'] as const;
/** What heartbeats and stream say of the VM, and they alone (invariant I7). */
export type Liveness = (typeof LIVENESS)[number];

export interface VmIdentity {
  readonly vmId: string;
  readonly poolId: string;
  /** The GitHub organization. Empty if the MIGlet named none. */
  readonly orgId: string;
}

export interface VmHealth {
  readonly cpuUsagePercent: number;
  readonly memoryUsagePercent: number;
  readonly diskUsagePercent: number;
  readonly memoryTotalBytes: number;
  readonly memoryUsedBytes: number;
  readonly diskTotalBytes: number;
  readonly diskUsedBytes: number;
}

export interface RunnerStatus {
  readonly state: 'idle' | 'running' | 'offline';
  readonly configured: boolean;
  readonly name: string;
  readonly labels: readonly string[];
}

export interface JobStatus {
  readonly jobId: string;
  readonly runId: string;
  readonly name: string;
  readonly repository: string;
  readonly branch: string;
  readonly commit: string;
  /** `unknown`: it ran when the VM was lost. */
  readonly status: 'running' | 'completed' | 'failed' | 'unknown';
  readonly startedAt: number;
}

export const PLATFORM_SYSTEMS = ['linux', 'osx', 'win'] as const;
export const PLATFORM_ARCHITECTURES = ['x64', 'arm64', 'arm'] as const;

/** What the VM's runner runs on, in the words of GitHub's list of runner applications. */
export interface VmPlatform {
  readonly os: (typeof PLATFORM_SYSTEMS)[number];
  readonly architecture: (typeof PLATFORM_ARCHITECTURES)[number];
}

/** @returns undefined if either is not one that GitHub has a runner for */
export function parsePlatform(
  os: string | undefined,
  architecture: string | undefined,
): VmPlatform | undefined {
  const system = PLATFORM_SYSTEMS.find((known) => known === os);
  const processor = PLATFORM_ARCHITECTURES.find((known) => known === architecture);
  return system === undefined || processor === undefined
    ? undefined
    : { os: system, architecture: processor };
}

/** What a MIGlet says of itself in a heartbeat. */
export interface VmReport {
  /** As reported: a state path, or a legacy word. */
  readonly state: string;
  readonly stateReason: string;
  readonly health: VmHealth | undefined;
  readonly runner: RunnerStatus | undefined;
  readonly currentJob: JobStatus | undefined;
}

/** Set by an operator: the VM takes no new jobs until it is lifted. A job that runs goes on. */
export interface Cordon {
  readonly reason: string;
  readonly by: string;
  readonly at: number;
}

/** Nothing was heard of the VM for its TTL (I7): kept from then until it is heard again. */
export interface Loss {
  /** When it was found out. */
  readonly at: number;
  /** `vm_lost` is in its history: a controller that starts meanwhile does not enter it again. */
  readonly reported: boolean;
}

/** The controller's record of a VM: what outlives a restart. */
export interface VmRecord extends VmIdentity {
  /** One life of the VM. Empty for a legacy MIGlet. */
  readonly bootId: string;
  readonly version: string;
  readonly state: string;
  /** Why it is in this state, for a person; empty where the state says it all. */
  readonly stateReason: string;
  readonly health: VmHealth | undefined;
  readonly runner: RunnerStatus | undefined;
  readonly currentJob: JobStatus | undefined;
  /** Labels that the MIGlet adds at its next registration. */
  readonly labels: readonly string[];
  readonly firstSeenAt: number;
  /** When anything was last heard of it. */
  readonly lastSeenAt: number;
  readonly lastHeartbeatAt: number | undefined;
  /** How the boot ended: set once, by the VM's own word. */
  readonly outcome: string | undefined;
  /** Belongs to the VM's name, not to a boot: it holds until it is lifted. */
  readonly cordon: Cordon | undefined;
  /** Belongs to the name too: another boot that is heard is a return. */
  readonly loss: Loss | undefined;
  /** The runner of this boot whose labels were taken at GitHub, or may have been: they are given back when it may have jobs. */
  readonly fencedRunner: string | undefined;
  /** Names, other than by the rule for names, under which runners were to be registered for the VM: the last ten. Belongs to its name. */
  readonly runnerNames: readonly string[];
  /** By the VM's own word when it started; undefined = it has not said. */
  readonly platform: VmPlatform | undefined;
}

/**
 * Do both records tell of the same life of the VM? A life ends with an outcome; the next has another boot id, or, of a
 * legacy MIGlet, which has none, no outcome yet.
 */
export const isSameLife = (before: VmRecord, after: VmRecord): boolean =>
  before.bootId === after.bootId && (before.outcome === undefined || after.outcome !== undefined);
