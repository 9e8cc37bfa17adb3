import { describe, expect, it } from '@jest/globals';
import { fromJobSpecResource, jobSpecSchema } from '@mig/common/api/job-spec';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import type { JobRecord } from '@mig/common/domain/job';
import { createJobQueue } from './job-queue.js';
import { createNodes } from './nodes.js';

const spec = (fields: object) =>
  fromJobSpecResource(
    jobSpecSchema.parse({
      name: 'a',
      tasks: [{ name: 't', driver: 'exec', config: { command: 'ls' } }],
      ...fields,
    }),
  );

function createRandom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

describe('the queue', () => {
  it('gives the same order as sorting all by priority and age, whatever was put in and taken out before', () => {
    const random = createRandom(7);
    const queue = createJobQueue(1_000);
    const clock = createManualClock();
    const nodes = createNodes(clock, { offlineAfterMs: 1_000, forgetAfterMs: 1_000 });
    const node = nodes.enter('n1');
    const jobs = Array.from({ length: 2_000 }, (_, at) => ({
      id: `job-${String(at).padStart(5, '0')}`,
      submitter: 's',
      queuedAt: Math.floor(random() * 100_000),
      onlyNode: undefined,
      spec: spec({ priority: Math.floor(random() * 100) }),
    })) as unknown as JobRecord[];
    for (const job of jobs) queue.add(job);
    const removed = jobs.filter(() => random() < 0.3);
    for (const { id } of removed) queue.remove(id);
    const left = jobs.filter((job) => !removed.includes(job));
    const score = (job: JobRecord): number => job.spec.priority * 1_000 - job.queuedAt;
    const expected = left.sort((a, b) => score(b) - score(a) || (a.id < b.id ? -1 : 1)).map(({ id }) => id);
    const order: string[] = [];
    for (;;) {
      const best = queue.best(
        node,
        0,
        () => 0,
        () => true,
      );
      if (best === undefined) break;
      order.push(best.id);
      queue.remove(best.id);
    }
    expect(order).toEqual(expected);
    expect(queue.size).toBe(0);
  });
});
