import type { AcquiredJob } from '../github/runner-protocol.js';
import type { JobResult } from './exit-codes.js';

/** What the listener tells its worker, over the channel between them. */
export type WorkerRequest =
  | {
      readonly type: 'job';
      readonly job: AcquiredJob;
      readonly runnerName: string;
      readonly serverUrl: string;
      /** Absolute. */
      readonly workFolder: string;
      /** The fault `worker-lingers`: do not end. */
      readonly lingers: boolean;
      /** The fault `worker-outlives`: the end of the listener is no reason to end. */
      readonly outlives: boolean;
    }
  | { readonly type: 'cancel' };

/** What the worker answers before it ends. */
export interface WorkerReport {
  readonly result: JobResult;
}
