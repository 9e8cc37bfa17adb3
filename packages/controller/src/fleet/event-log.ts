/**
 * Events of the VMs: stored once, in order, then applied and acknowledged (invariant I4).
 *
 * The events of one VM go one after the other, by stream and by HTTP alike. A counted event that was stored before, by its
 * boot and sequence, is acknowledged and not stored again. If one cannot be stored, it is not acknowledged, and none that
 * follows it is taken until the VM has sent it again; one that names its predecessor is not taken before that one. So the
 * store never has a hole that nobody knows of.
 *
 * What the controller itself enters goes the same way, so that it has its place in the order; it is no word of the VM, and
 * tells nothing of its life (I7).
 */
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { StoredEvent, VmEvent } from '@mig/common/domain/event';
import { testPoint } from '@mig/common/test-points';
import type { Store } from '../store/store.js';
import type { Feed } from './feed.js';

export type EventOutcome =
  /** It is stored, now or before: the VM may forget it. */
  | { readonly kind: 'stored' }
  /** It is not stored: the VM must send it again. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface EventLog {
  record(event: VmEvent, via: StoredEvent['via']): Promise<EventOutcome>;
  /** The highest sequence of this boot that is stored; 0 if none. */
  lastSequence(vmId: string, bootId: string): number;
}

/** Events of one VM that wait to be stored. Above it the VM's next ones are refused; it sends them again. */
const MAX_WAITING = 1_000;

interface VmLog {
  tail: Promise<unknown>;
  waiting: number;
  /** The sequence that could not be stored, of this boot. */
  failed: { readonly bootId: string; readonly sequence: number } | undefined;
}

export function createEventLog(
  store: Store,
  feed: Feed,
  apply: (event: VmEvent) => void,
  logger: Logger,
): EventLog {
  const logs = new Map<string, VmLog>();

  const lastSequence = (vmId: string, bootId: string): number => {
    const position = store.eventPosition(vmId);
    return position.bootId === bootId ? position.sequence : 0;
  };

  async function recordNow(log: VmLog, event: VmEvent, via: StoredEvent['via']): Promise<EventOutcome> {
    const counted = event.sequence > 0 && event.bootId !== '';
    if (counted && event.sequence <= lastSequence(event.vmId, event.bootId)) return { kind: 'stored' };
    if (counted && log.failed?.bootId === event.bootId && event.sequence > log.failed.sequence) {
      return { kind: 'refused', reason: `event ${log.failed.sequence} must be stored first` };
    }
    const previous = event.previousSequence ?? 0;
    if (counted && previous > lastSequence(event.vmId, event.bootId)) {
      return { kind: 'refused', reason: `event ${previous} must be stored first` };
    }
    let stored: StoredEvent;
    try {
      stored = await store.appendEvent(event, via);
      testPoint('events.stored');
    } catch (error) {
      if (counted) log.failed = { bootId: event.bootId, sequence: event.sequence };
      logger.error(
        { vmId: event.vmId, type: event.type, reason: errorMessage(error) },
        'an event could not be stored',
      );
      return { kind: 'refused', reason: errorMessage(error) };
    }
    if (log.failed !== undefined && event.sequence >= log.failed.sequence) log.failed = undefined;
    try {
      if (via !== 'controller') apply(event);
      feed.publish({ kind: 'event', event: stored });
    } catch (error) {
      // It is stored: refusing it now would only bring it again.
      logger.error({ vmId: event.vmId, type: event.type, err: error }, 'an event could not be applied');
    }
    return { kind: 'stored' };
  }

  return {
    record(event, via) {
      const log = logs.get(event.vmId) ?? { tail: Promise.resolve(), waiting: 0, failed: undefined };
      logs.set(event.vmId, log);
      if (log.waiting >= MAX_WAITING) {
        if (event.sequence > 0 && log.failed?.bootId !== event.bootId) {
          log.failed = { bootId: event.bootId, sequence: event.sequence };
        }
        return Promise.resolve({
          kind: 'refused',
          reason: `${MAX_WAITING} events of this VM wait to be stored`,
        });
      }
      log.waiting += 1;
      const outcome = log.tail.then(() => recordNow(log, event, via));
      log.tail = outcome.finally(() => {
        log.waiting -= 1;
        if (log.waiting === 0 && log.failed === undefined) logs.delete(event.vmId);
      });
      return outcome;
    },
    lastSequence,
  };
}
