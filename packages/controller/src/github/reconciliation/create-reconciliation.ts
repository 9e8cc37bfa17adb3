import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { CommandQueue } from '../../commands/command-queue.js';
import type { Drains } from '../../commands/drains.js';
import type { ControllerConfig } from '../../config.js';
import type { ControllerEvents } from '../../fleet/controller-events.js';
import type { Fleet } from '../../fleet/fleet.js';
import type { GitHub } from '../create-github.js';
import type { WorkflowJobBook } from '../jobs/job-book.js';
import { jobEndsOf } from './job-ends.js';
import { createReconciler, type Reconciler } from './reconciler.js';

export interface ReconciliationDeps {
  readonly github: Pick<GitHub, 'runners' | 'ownership' | 'scopes' | 'scopeOf'>;
  readonly fleet: Fleet;
  readonly queue: CommandQueue;
  readonly drains: Pick<Drains, 'drainIdOf'>;
  readonly events: ControllerEvents;
  readonly jobs: Pick<WorkflowJobBook, 'all'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

/** Reconciliation as the configuration asks for it; undefined where there is no GitHub to compare with. */
export function createReconciliation(
  deps: ReconciliationDeps,
  { auth, reconciliation }: ControllerConfig['github'],
): Reconciler | undefined {
  if (auth === 'none') return undefined;
  const { github, drains, jobs, logger } = deps;
  return createReconciler(
    {
      ...deps,
      runners: github.runners,
      ownership: github.ownership,
      scopes: () => github.scopes(),
      scopeOf: (vm) => github.scopeOf(vm),
      drainIdOf: (vmId) => drains.drainIdOf(vmId),
      jobEnds: () => jobEndsOf(jobs.all()),
      logger: logger.child({ part: 'reconciliation' }),
    },
    { intervalMs: reconciliation.interval, graceMs: reconciliation.grace },
  );
}
