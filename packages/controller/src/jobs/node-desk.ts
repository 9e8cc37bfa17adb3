/**
 * What nodes ask: they say that they are there, are shown a job, claim it, and say what becomes of it.
 *
 * A claim is decided in memory, at once, and durable before its node is told.
 */
import type { Clock } from '@mig/common/clock';
import type { JobRecord } from '@mig/common/domain/job';
import { isJobFinal, isOnNode } from '@mig/common/domain/job-state';
import type {
  HeartbeatAnswer,
  JobOffer,
  NodeAndJob,
  NodeAnswer,
  NodeHeartbeat,
  StatusUpdate,
} from '@mig/common/domain/node-messages';
import { printable } from '@mig/common/errors';
import { refusal } from './fit.js';
import type { JobBook } from './job-book.js';
import type { JobMakers } from './job-makers.js';
import type { JobMoves } from './job-moves.js';
import type { JobOutputs } from './job-outputs.js';
import type { JobQueue, QueuedJob } from './job-queue.js';
import type { Node, Nodes } from './nodes.js';
import { toOffer } from './offer.js';
import { hasBetter, type Strategy } from './placement.js';

export interface NodeDesk {
  /** @param poolId of the node's credential, or as the fleet knows it; empty = neither says */
  heartbeat(heartbeat: NodeHeartbeat, poolId: string): HeartbeatAnswer;
  offer(nodeId: string): JobOffer;
  claim(claim: NodeAndJob): Promise<NodeAnswer>;
  update(update: StatusUpdate): Promise<NodeAnswer>;
}

export interface NodeDeskDeps {
  readonly book: JobBook;
  readonly queue: JobQueue;
  readonly nodes: Nodes;
  readonly moves: JobMoves;
  readonly makers: JobMakers;
  readonly outputs: JobOutputs;
  readonly clock: Clock;
}

export interface NodeDeskOptions {
  readonly placement: Strategy;
  /** A job is left for a better node so long. */
  readonly placementWaitMs: number;
}

/** A job that was offered to a node is offered to no other for so long; claimed it can be by any. */
const OFFER_HOLD_MS = 3_000;
/** A node may have been told of a claim so long after its heartbeat was written. */
const CLAIM_UNDER_WAY_MS = 10_000;
/** A node begins what it has claimed well within this. */
const FORGOTTEN_MS = 5_000;
const OK: NodeAnswer = { ok: true, message: '' };
const no = (message: string): NodeAnswer => ({ ok: false, message });

/** Jobs that one offer leaves for better nodes, at most. */
const MAX_LEFT = 4;

export function createNodeDesk(deps: NodeDeskDeps, options: NodeDeskOptions): NodeDesk {
  const { book, queue, nodes, outputs, clock } = deps;
  const { heardAt, track, move, moveSoon, retryOf } = deps.moves;
  const { spawnSystemJobs } = deps.makers;
  const offered = new Map<string, { readonly nodeId: string; readonly untilMs: number }>();

  /** A job that the node claimed a while ago and did not begin: it was restarted in between, and is shown it again. */
  function forgotten(node: Node): JobRecord | undefined {
    if (node.listsJobs) return undefined;
    for (const id of node.jobIds) {
      const job = book.find(id);
      if (job?.state === 'claimed' && clock.now() - (job.claimedAt ?? 0) > FORGOTTEN_MS) return job;
    }
    return undefined;
  }

  /** Has another node asked lately that suits the job better? */
  function isLeft(job: QueuedJob, node: Node, nowMs: number): boolean {
    if (clock.now() - job.queuedAt > options.placementWaitMs) return false;
    const hungry = nodes
      .all()
      .filter(
        (other) =>
          other.online &&
          !other.draining &&
          nowMs - other.hungryMs < options.placementWaitMs &&
          refusal(job.requirement, other) === undefined,
      );
    return hasBetter(options.placement, node, hungry);
  }

  return {
    heartbeat(heartbeat, poolId) {
      const node = nodes.heartbeat(heartbeat, poolId);
      spawnSystemJobs(node);
      if (heartbeat.listsJobs) {
        const has = new Set(heartbeat.jobIds);
        for (const id of node.toEnd) if (!has.has(id)) node.toEnd.delete(id);
        for (const id of node.jobIds) {
          const job = book.find(id);
          const isFresh = clock.now() - (job?.claimedAt ?? 0) < CLAIM_UNDER_WAY_MS;
          if (job === undefined || has.has(id) || isFresh) continue;
          moveSoon(...retryOf(job, `node ${node.id} has lost it`));
        }
        for (const id of has) if (!node.jobIds.has(id)) node.toEnd.add(id);
      }
      return { ok: true, message: '', endJobIds: [...node.toEnd] };
    },

    offer(nodeId) {
      const none = (message: string): JobOffer => ({ hasJob: false, job: undefined, message });
      const node = nodes.get(nodeId);
      if (node === undefined || !node.registered || !node.online)
        return none(
          'send a heartbeat first: this controller does not know the node, or takes it for offline',
        );
      if (node.draining) return none('the node drains');
      const own = forgotten(node);
      if (own !== undefined)
        return { hasJob: true, job: toOffer(own), message: 'this node has claimed it already' };
      const nowMs = clock.monotonicMs();
      for (const [id, hold] of offered) if (hold.untilMs <= nowMs) offered.delete(id);
      let left = 0;
      const best = queue.best(
        node,
        clock.now(),
        (submitter) => book.activeCount(submitter),
        (job) => {
          const hold = offered.get(job.id);
          if (hold !== undefined && hold.nodeId !== nodeId) return false;
          // Whom a job is left for is looked at for a few only: it costs a look at every node.
          if (left < MAX_LEFT && isLeft(job, node, nowMs)) {
            left += 1;
            return false;
          }
          return true;
        },
      );
      if (best === undefined) {
        node.hungryMs = nowMs;
        return none(queue.size === 0 ? 'no job waits' : 'no job that waits is for this node now');
      }
      offered.set(best.id, { nodeId, untilMs: nowMs + OFFER_HOLD_MS });
      return { hasJob: true, job: toOffer(book.get(best.id)), message: '' };
    },

    async claim({ nodeId, jobId }) {
      const job = book.find(jobId);
      if (job === undefined) return no(`there is no job ${printable(jobId)}`);
      if (isOnNode(job.state))
        return job.nodeId === nodeId ? OK : no(`job ${jobId} is claimed by another node`);
      if (job.state !== 'queued') return no(`job ${jobId} is ${job.state}`);
      const node = nodes.get(nodeId);
      if (node === undefined || !node.registered || !node.online) return no('send a heartbeat first');
      const queued = queue.get(jobId);
      if (queued === undefined) return no(`job ${jobId} is not to be had now`);
      const reason = refusal(queued.requirement, node);
      if (reason !== undefined) return no(`job ${jobId} is not for this node: such nodes ${reason}`);
      // From here to the first await nothing else runs: one node wins.
      nodes.take(node, jobId, job.spec.resources);
      offered.delete(jobId);
      const fields = { state: 'claimed' as const, nodeId, claimedAt: clock.now(), attempt: job.attempt + 1 };
      try {
        await move(jobId, { ...fields, message: undefined }, 'claimed');
      } catch (error) {
        // The node is not told, so nobody has it.
        nodes.give(nodeId, jobId, job.spec.resources);
        book.restore(job);
        track(job);
        throw error;
      }
      return OK;
    },

    async update(update) {
      const { nodeId, jobId, status, detail, attempt } = update;
      const job = book.find(jobId);
      if (job === undefined) return no(`there is no job ${printable(jobId)}`);
      const isOwn = job.nodeId === nodeId && (attempt === 0 || attempt === job.attempt);
      if (isOwn && isOnNode(job.state)) heardAt.set(jobId, clock.now());
      if (isOwn && job.state === status) {
        if (status === 'running') await outputs.append(jobId, update);
        else await book.settle(jobId);
        return OK;
      }
      // A repetition: its first was taken, and the job waits to be tried again.
      if (isOwn && status === 'failed' && !isJobFinal(job.state) && !isOnNode(job.state)) return OK;
      if (!isOwn || !isOnNode(job.state))
        return no(
          isOwn ? `job ${jobId} is ${job.state}: end it` : `job ${jobId} is not this node's any more: end it`,
        );
      const node = nodes.get(nodeId);
      if (node !== undefined) node.lastSeenMs = clock.monotonicMs();
      await outputs.append(jobId, update);
      const message = printable(detail, 1_000) || undefined;
      switch (status) {
        case 'running':
          await move(jobId, { state: 'running', startedAt: clock.now(), message }, 'running', message);
          return OK;
        case 'completed':
          if (job.spec.type === 'service')
            await move(...retryOf(job, message ?? 'it has ended, and is to run on'));
          else
            await move(
              jobId,
              { state: 'completed', finishedAt: clock.now(), message, exitCode: update.exitCode },
              'completed',
              message,
            );
          return OK;
        case 'failed': {
          const [id, fields, type, why] = retryOf(job, message ?? 'it failed');
          await move(id, { ...fields, exitCode: update.exitCode || undefined }, type, why);
          return OK;
        }
        default:
          return no(
            `status ${JSON.stringify(printable(status))} is not known: say running, completed or failed`,
          );
      }
    },
  };
}
