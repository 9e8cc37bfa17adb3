/** What time brings: jobs whose turn has come, whose node is silent, or of which nothing is said any more. */
import type { Clock } from '@mig/common/clock';
import type { JobRecord } from '@mig/common/domain/job';
import { isOnNode } from '@mig/common/domain/job-state';
import type { Logger } from '@mig/common/logger';
import type { Dependencies } from './dependencies.js';
import type { JobBook } from './job-book.js';
import type { JobMakers } from './job-makers.js';
import type { JobMoves } from './job-moves.js';
import type { JobOutputs } from './job-outputs.js';
import type { Node, Nodes } from './nodes.js';

export interface JobWatch {
  /** Queues the job if what it waits for has come. */
  lookAtWaiting(job: JobRecord): void;
  /** Once a second. */
  sweep(): void;
}

export interface JobWatchDeps {
  readonly book: JobBook;
  readonly nodes: Nodes;
  readonly moves: JobMoves;
  readonly makers: JobMakers;
  readonly dependencies: Dependencies;
  readonly outputs: JobOutputs;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface JobWatchOptions {
  /** A claimed job that is not begun in this time goes back into the queue. */
  readonly claimTimeoutMs: number;
  /** A running job of which a node that does not list its jobs says nothing for so long is tried again; 0 = never. */
  readonly forgottenAfterMs: number;
}

export function createJobWatch(deps: JobWatchDeps, options: JobWatchOptions): JobWatch {
  const { book, nodes, dependencies, outputs, clock, logger } = deps;
  const { waiting, makers, heardAt, moveSoon, retryOf } = deps.moves;
  /** What was said before is not known any more. */
  const managedSince = clock.now();

  function lookAtWaiting(job: JobRecord): void {
    const verdict = dependencies.verdict(job);
    if (verdict.kind === 'failed') {
      moveSoon(
        job.id,
        { state: 'failed', finishedAt: clock.now(), message: verdict.reason },
        'failed',
        verdict.reason,
      );
    } else if (verdict.kind === 'met' && (job.notBefore ?? 0) <= clock.now()) {
      moveSoon(
        job.id,
        { state: 'queued', queuedAt: job.attempt === 0 ? clock.now() : job.queuedAt, notBefore: undefined },
        'queued',
      );
    }
  }

  /** Since when its node has said nothing of it. */
  const silentMs = ({ id, claimedAt = 0, startedAt = 0 }: JobRecord): number =>
    clock.now() - Math.max(claimedAt, startedAt, heardAt.get(id) ?? managedSince);

  function lookAtClaimed(node: Node): void {
    for (const id of [...node.jobIds]) {
      const job = book.find(id);
      if (job === undefined || !isOnNode(job.state)) continue;
      const sinceMs = clock.now() - (job.claimedAt ?? 0);
      const { deadlineMs } = job.spec;
      if (deadlineMs > 0 && sinceMs > deadlineMs) {
        node.toEnd.add(id);
        moveSoon(...retryOf(job, 'its deadline has passed'));
      } else if (
        options.forgottenAfterMs > 0 &&
        !node.listsJobs &&
        silentMs(job) > options.forgottenAfterMs
      ) {
        moveSoon(...retryOf(job, `node ${node.id} says nothing of it any more`));
      } else if (job.state === 'claimed' && sinceMs > options.claimTimeoutMs) {
        moveSoon(...retryOf(job, `node ${node.id} claimed it and did not begin it`));
      }
    }
  }

  return {
    lookAtWaiting,

    sweep() {
      for (const node of nodes.sweep()) {
        logger.warn(
          { event: 'node_offline', nodeId: node.id },
          'a node is silent: its jobs are queued again',
        );
        for (const id of [...node.jobIds]) {
          const job = book.find(id);
          if (job !== undefined && isOnNode(job.state))
            moveSoon(...retryOf(job, `node ${node.id} is offline`));
        }
      }
      for (const node of nodes.all()) lookAtClaimed(node);
      for (const id of [...waiting]) lookAtWaiting(book.get(id));
      for (const id of [...makers]) deps.makers.runSchedule(book.get(id));
      for (const id of book.sweep()) void outputs.remove(id);
    },
  };
}
