/** What a job waits for. */
import type { JobRecord, JobSpec } from '@mig/common/domain/job';
import { isJobFinal } from '@mig/common/domain/job-state';
import type { JobBook } from './job-book.js';

export type Verdict =
  | { readonly kind: 'met' }
  | { readonly kind: 'pending' }
  | { readonly kind: 'failed'; readonly reason: string };

export interface Dependencies {
  /** Ids for ids and names: of a name, the newest job. Of jobs in pools that are not among `pools` nothing is known. */
  resolve(
    spec: JobSpec,
    pools: readonly string[] | undefined,
  ): {
    readonly ids: string[];
    readonly faults: { readonly path: string; readonly message: string }[];
  };
  verdict(job: JobRecord): Verdict;
  /** Ids that it still waits for. */
  pending(job: JobRecord): string[];
}

export function createDependencies(book: Pick<JobBook, 'find' | 'named'>): Dependencies {
  return {
    resolve(spec, pools) {
      const isVisible = (job: JobRecord): boolean => isWithin(job.pools, pools);
      const ids: string[] = [];
      const faults: { path: string; message: string }[] = [];
      for (const [at, name] of spec.dependsOn.entries()) {
        const job = [...book.named(name), book.find(name)].findLast(
          (one) => one !== undefined && isVisible(one),
        );
        const path = `depends_on[${at}]`;
        if (job === undefined)
          faults.push({ path, message: `there is no job with the id or the name ${name}` });
        else if (job.state === 'active')
          faults.push({ path, message: `job ${name} makes others, and never ends: name one of those` });
        else ids.push(job.id);
      }
      return { ids, faults };
    },

    verdict(job) {
      let isPending = false;
      for (const id of job.waitsFor) {
        const other = book.find(id);
        // One that is forgotten ended long ago, and this one would have heard of its failure.
        if (other === undefined || other.state === 'completed') continue;
        if (isJobFinal(other.state))
          return { kind: 'failed', reason: `job ${id}, which it depends on, is ${other.state}` };
        isPending = true;
      }
      return { kind: isPending ? 'pending' : 'met' };
    },

    pending: (job) =>
      job.waitsFor.filter((id) => {
        const other = book.find(id);
        return other !== undefined && !isJobFinal(other.state);
      }),
  };
}

/** Is all of `inner` in `outer`? Undefined = every pool. */
const isWithin = (inner: readonly string[] | undefined, outer: readonly string[] | undefined): boolean =>
  outer === undefined || (inner?.every((poolId) => outer.includes(poolId)) ?? false);
