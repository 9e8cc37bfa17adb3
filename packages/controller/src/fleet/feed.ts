/** The change feed: what happened in the fleet, told to whoever is interested, in order, within the process. */
import type { CommandRecord } from '@mig/common/domain/command';
import type { StoredEvent } from '@mig/common/domain/event';
import type { VmRecord } from '@mig/common/domain/vm';
import type { WorkflowJob } from '@mig/common/domain/workflow-job';

export type Change =
  | { readonly kind: 'vm'; readonly vm: VmRecord }
  | { readonly kind: 'link'; readonly vmId: string; readonly connected: boolean }
  | { readonly kind: 'event'; readonly event: StoredEvent }
  | { readonly kind: 'command'; readonly command: CommandRecord }
  | { readonly kind: 'workflowJob'; readonly job: WorkflowJob };

export interface Feed {
  publish(change: Change): void;
  /** @returns ends the subscription */
  subscribe(listener: (change: Change) => void): () => void;
}

export function createFeed(): Feed {
  const listeners = new Set<(change: Change) => void>();
  return {
    publish(change) {
      for (const listener of listeners) listener(change);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
