import { createDrainSchema, type CreateDrainBody } from '@mig/common/api/drain-resource';
import type { DrainThen } from '@mig/common/domain/drain';
import { UsageError } from '../errors.js';
import type { Selection } from '../operate/targets.js';

/** What the flags of `drain` ask for. */
export interface DrainRequest {
  readonly reason: string | undefined;
  /** 0 = never. */
  readonly deadlineMs: number;
  readonly force: boolean;
  /** Undefined = all at once. */
  readonly maxUnavailable: number | undefined;
  readonly then: DrainThen;
}

const MAX_NAMES = 10_000;

/** @throws UsageError with every fault, before anything is sent */
export function toDrainBody(selection: Selection, request: DrainRequest): CreateDrainBody {
  const { names, pool, labels } = selection;
  const vmIds = [...new Set(names)];
  if (vmIds.length > MAX_NAMES) {
    throw new UsageError(
      `${vmIds.length} VMs are named, and one drain takes ${MAX_NAMES}`,
      'make several drains, or choose by --pool, --labels or --all',
    );
  }
  const selector: CreateDrainBody['selector'] =
    vmIds.length > 0
      ? { vm_ids: vmIds }
      : pool !== undefined
        ? { pool_id: pool }
        : labels !== undefined
          ? { labels: [...labels] }
          : { all: true };
  const body: CreateDrainBody = {
    selector,
    reason: request.reason ?? '',
    // Said in full: what was confirmed is what happens, whatever the controller's default is.
    deadline_ms: request.deadlineMs,
    force: request.force,
    then: request.then,
    ...(request.maxUnavailable === undefined ? {} : { max_unavailable: request.maxUnavailable }),
  };
  const checked = createDrainSchema.safeParse(body);
  if (!checked.success) {
    const faults = checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new UsageError(faults.join('; '));
  }
  return body;
}
