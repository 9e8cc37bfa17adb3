import type { JobRecord } from '@mig/common/domain/job';
import type { OfferedJob } from '@mig/common/domain/node-messages';

/** The job as a node is shown it. */
export const toOffer = ({ id, spec, attempt, state }: JobRecord): OfferedJob => ({
  jobId: id,
  name: spec.name,
  type: spec.type,
  datacenters: spec.datacenters.join(','),
  tasks: spec.tasks.map(({ name, driver, image, options, env }) => ({
    name,
    driver,
    config: { image, options: { ...options } },
    env: { ...env },
  })),
  meta: { ...spec.meta },
  deadlineMs: spec.deadlineMs,
  // The number that it has once it is claimed.
  attempt: state === 'queued' ? attempt + 1 : attempt,
  resources: spec.resources,
});
