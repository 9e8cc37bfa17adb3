/** The nodes, as their heartbeats say: what they have, what their jobs use of it, and since when they are silent. */
import type { Clock } from '@mig/common/clock';
import type { NodeHeartbeat } from '@mig/common/domain/node-messages';
import { NO_RESOURCES, type Resources } from '@mig/common/domain/job';

export interface Node {
  readonly id: string;
  /** Of its credential, or as the fleet knows it; empty = neither says. */
  poolId: string;
  /** In all. */
  resources: Resources;
  /** By the jobs that it has claimed. */
  used: Resources;
  metadata: Readonly<Record<string, string>>;
  /** By the monotonic clock. */
  lastSeenMs: number;
  /** By the wall clock. */
  lastSeenAt: number;
  /** False until its first heartbeat since the controller's start. */
  registered: boolean;
  online: boolean;
  draining: boolean;
  /** It names its jobs in its heartbeats: what it has lost is known from them. */
  listsJobs: boolean;
  /** When it last asked for a job and got none, by the monotonic clock. */
  hungryMs: number;
  readonly jobIds: Set<string>;
  /** Jobs that it is to end. */
  readonly toEnd: Set<string>;
}

export interface Nodes {
  get(id: string): Node | undefined;
  all(): Node[];
  /** The node, made if it is new. */
  enter(id: string): Node;
  heartbeat(heartbeat: NodeHeartbeat, poolId: string): Node;
  take(node: Node, jobId: string, resources: Resources): void;
  give(nodeId: string, jobId: string, resources: Resources): void;
  /** Those that have just fallen silent: they are offline from now on. */
  sweep(): Node[];
}

export interface NodesOptions {
  /** A node that is silent for so long is offline. */
  readonly offlineAfterMs: number;
  /** A node that is offline for so long is forgotten. */
  readonly forgetAfterMs: number;
}

/** A node says at most so much of itself; the rest is left out. */
const MAX_METADATA = 200;

export function createNodes(clock: Clock, options: NodesOptions): Nodes {
  const nodes = new Map<string, Node>();

  function enter(id: string): Node {
    let node = nodes.get(id);
    if (node === undefined) {
      node = {
        id,
        poolId: '',
        resources: NO_RESOURCES,
        used: NO_RESOURCES,
        metadata: {},
        lastSeenMs: clock.monotonicMs(),
        lastSeenAt: clock.now(),
        registered: false,
        online: true,
        draining: false,
        listsJobs: false,
        hungryMs: -Infinity,
        jobIds: new Set(),
        toEnd: new Set(),
      };
      nodes.set(id, node);
    }
    return node;
  }

  return {
    get: (id) => nodes.get(id),
    all: () => [...nodes.values()],
    enter,

    heartbeat(heartbeat, poolId) {
      const node = enter(heartbeat.nodeId);
      const { ramMb, cpuPercent, diskMb } = heartbeat;
      node.resources = { ramMb: amount(ramMb), cpuPercent: amount(cpuPercent), diskMb: amount(diskMb) };
      node.poolId = poolId;
      // What its credential says counts for more than what it says of itself.
      node.metadata = Object.fromEntries([
        ...Object.entries(heartbeat.metadata).slice(0, MAX_METADATA),
        ...(poolId === '' ? [] : [['pool', poolId] as const]),
      ]);
      node.lastSeenMs = clock.monotonicMs();
      node.lastSeenAt = clock.now();
      node.registered = true;
      node.online = true;
      node.draining = heartbeat.draining;
      node.listsJobs = heartbeat.listsJobs;
      return node;
    },

    take(node, jobId, resources) {
      if (node.jobIds.has(jobId)) return;
      node.jobIds.add(jobId);
      node.used = add(node.used, resources, 1);
    },

    give(nodeId, jobId, resources) {
      const node = nodes.get(nodeId);
      if (node === undefined || !node.jobIds.delete(jobId)) return;
      node.used = node.jobIds.size === 0 ? NO_RESOURCES : add(node.used, resources, -1);
    },

    sweep() {
      const nowMs = clock.monotonicMs();
      const silent: Node[] = [];
      for (const node of nodes.values()) {
        const silentMs = nowMs - node.lastSeenMs;
        if (node.online && silentMs >= options.offlineAfterMs) {
          node.online = false;
          silent.push(node);
        } else if (!node.online && silentMs >= options.forgetAfterMs && node.jobIds.size === 0) {
          nodes.delete(node.id);
        }
      }
      return silent;
    },
  };
}

/** A float that is none counts as nothing. */
const amount = (value: number): number => (Number.isFinite(value) && value > 0 ? value : 0);

const add = (a: Resources, b: Resources, sign: 1 | -1): Resources => ({
  ramMb: a.ramMb + sign * b.ramMb,
  cpuPercent: a.cpuPercent + sign * b.cpuPercent,
  diskMb: a.diskMb + sign * b.diskMb,
});
