/** Every attempt to deliver a webhook, as GitHub lists them for three days. */
import type { Clock } from '@mig/common/clock';
import type { Hook } from './hook-book.js';
import type { SendOutcome } from './sender.js';

/** Deliveries can be seen, and sent again, for three days (github-facts 2.4). */
const RETENTION_MS = 3 * 24 * 3_600_000;
/** Attempts that are remembered; the oldest are forgotten first. */
const MAX_DELIVERIES = 20_000;

/** What is delivered: one event, for one webhook. Attempts share it. */
export interface Parcel {
  readonly hook: Hook;
  /** Of the event: the same for all webhooks, and for every attempt. */
  readonly guid: string;
  readonly event: string;
  readonly action: string | null;
  readonly installationId: number | null;
  readonly repositoryId: number | null;
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface Delivery extends Parcel, SendOutcome {
  readonly id: number;
  readonly deliveredAt: number;
  readonly durationMs: number;
  readonly redelivery: boolean;
  readonly url: string;
  readonly requestHeaders: Readonly<Record<string, string>>;
}

export interface DeliveryBook {
  add(delivery: Omit<Delivery, 'id'>): Delivery;
  get(id: number): Delivery | undefined;
  /** Oldest first, of all webhooks or of one. */
  list(hook?: Hook): Delivery[];
}

export function createDeliveryBook(clock: Clock): DeliveryBook {
  const deliveries = new Map<number, Delivery>();
  let lastId = 70_000_000;

  function forgetOld(): void {
    for (const [id, delivery] of deliveries) {
      const isOld = delivery.deliveredAt < clock.now() - RETENTION_MS;
      if (!isOld && deliveries.size <= MAX_DELIVERIES) break;
      deliveries.delete(id);
    }
  }

  return {
    add(attempt) {
      lastId += 1;
      const delivery = { ...attempt, id: lastId };
      deliveries.set(delivery.id, delivery);
      forgetOld();
      return delivery;
    },
    get(id) {
      forgetOld();
      return deliveries.get(id);
    },
    list(hook) {
      forgetOld();
      const all = [...deliveries.values()];
      return hook === undefined ? all : all.filter((delivery) => delivery.hook === hook);
    },
  };
}
