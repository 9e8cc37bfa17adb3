/**
 * The jobs that wait for a node, and which of them is next for one.
 *
 * Priority, then age; a job gains one point of priority for each `agingMs` that it waits, so that nothing starves. As all gain
 * alike, the order of two jobs never changes, and each submitter's jobs are kept sorted. Between submitters whose best jobs are
 * of the same priority (in whole points), the one with fewer jobs on nodes is next.
 */
import type { JobRecord } from '@mig/common/domain/job';
import { refusal, toRequirement, type Requirement } from './fit.js';
import type { Node } from './nodes.js';

export interface QueuedJob {
  readonly id: string;
  readonly submitter: string;
  readonly priority: number;
  readonly queuedAt: number;
  /** The higher is first. */
  readonly score: number;
  readonly requirement: Requirement;
}

export interface JobQueue {
  /** In its place; a job that is in it already is put anew. */
  add(job: JobRecord): void;
  remove(jobId: string): void;
  get(jobId: string): QueuedJob | undefined;
  readonly size: number;
  /**
   * The best job for the node.
   *
   * @param activeCount jobs of a submitter that are on nodes
   * @param isFree false for a job that is to be left for another node, for now
   */
  best(
    node: Node,
    nowMs: number,
    activeCount: (submitter: string) => number,
    isFree: (job: QueuedJob) => boolean,
  ): QueuedJob | undefined;
}

export function createJobQueue(agingMs: number): JobQueue {
  const bySubmitter = new Map<string, QueuedJob[]>();
  const byId = new Map<string, QueuedJob>();

  const before = (a: QueuedJob, b: QueuedJob): boolean =>
    a.score > b.score || (a.score === b.score && a.id < b.id);

  /** Where the job is, or belongs. */
  function placeOf(list: readonly QueuedJob[], job: QueuedJob): number {
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = list[middle];
      if (other !== undefined && before(other, job)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function remove(jobId: string): void {
    const job = byId.get(jobId);
    if (job === undefined) return;
    byId.delete(jobId);
    const list = bySubmitter.get(job.submitter) ?? [];
    list.splice(placeOf(list, job), 1);
    if (list.length === 0) bySubmitter.delete(job.submitter);
  }

  return {
    add(record) {
      remove(record.id);
      const { id, submitter, queuedAt, spec } = record;
      const job: QueuedJob = {
        id,
        submitter,
        queuedAt,
        priority: spec.priority,
        score: spec.priority * agingMs - queuedAt,
        requirement: toRequirement(record),
      };
      byId.set(id, job);
      const list = bySubmitter.get(submitter);
      if (list === undefined) bySubmitter.set(submitter, [job]);
      else list.splice(placeOf(list, job), 0, job);
    },
    remove,
    get: (jobId) => byId.get(jobId),
    get size() {
      return byId.size;
    },

    best(node, nowMs, activeCount, isFree) {
      // Many jobs ask for the same: each kind is looked at once.
      const fits = new Map<string, boolean>();
      const isFit = ({ requirement }: QueuedJob): boolean => {
        let fit = fits.get(requirement.key);
        if (fit === undefined) {
          fit = refusal(requirement, node) === undefined;
          fits.set(requirement.key, fit);
        }
        return fit;
      };
      let best: QueuedJob | undefined;
      let bestPoints = 0;
      let bestActive = 0;
      for (const [submitter, list] of bySubmitter) {
        const head = list.find((job) => isFit(job) && isFree(job));
        if (head === undefined) continue;
        const points = Math.floor((head.score + nowMs) / agingMs);
        const active = activeCount(submitter);
        const isBetter =
          best === undefined ||
          points > bestPoints ||
          (points === bestPoints && (active < bestActive || (active === bestActive && before(head, best))));
        if (!isBetter) continue;
        best = head;
        bestPoints = points;
        bestActive = active;
      }
      return best;
    },
  };
}
