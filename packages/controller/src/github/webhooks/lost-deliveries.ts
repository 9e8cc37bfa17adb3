/**
 * What is remembered of deliveries that failed: a small durable document.
 *
 * `readUntil` is the cursor: everything that GitHub lists as delivered before it was looked at, and what had failed is either taken
 * since, or among `lost`. It moves only when a walk over the list has come to where the one before began, so that a crash in
 * between makes the walk again and loses nothing.
 *
 * Limit (I12): `MAX_LOST` failed deliveries; when there are more, the cursor waits until some are settled.
 */
import * as z from 'zod';
import type { Store } from '../../store/store.js';
import type { Delivery } from './deliveries-api.js';

export interface LostDelivery {
  readonly guid: string;
  /** Of the newest attempt. */
  readonly deliveryId: number;
  /** When it was tried last, by GitHub's clock. */
  readonly deliveredAt: number;
  readonly action: string | undefined;
  /** How often the controller asked for another attempt. */
  readonly attempts: number;
  /** Not asked for again before this, by the controller's clock. */
  readonly nextAt: number;
  /** It is not asked for any more, and remembered only so that it is not found again. */
  readonly givenUp: boolean;
}

export interface LostDeliveries {
  /** Undefined: never looked at. Milliseconds since 1970, by GitHub's clock. */
  readonly readUntil: number | undefined;
  all(): Iterable<LostDelivery>;
  get(guid: string): LostDelivery | undefined;
  readonly isFull: boolean;
  /** A failed attempt was seen on the list. */
  note(delivery: Delivery): void;
  change(lost: LostDelivery, fields: Partial<LostDelivery>): void;
  /** It was delivered after all. */
  settle(guid: string): void;
  moveTo(readUntil: number): void;
  /** Durable when it resolves; nothing is written if nothing has changed. @throws StoreUnavailableError */
  save(): Promise<void>;
}

export const DOCUMENT = 'webhook-deliveries';
const MAX_LOST = 20_000;

const documentSchema = z.object({
  source: z.string(),
  read_until: z.int().optional(),
  lost: z.array(
    z.object({
      guid: z.string(),
      delivery_id: z.int(),
      delivered_at: z.int(),
      action: z.string().optional(),
      attempts: z.int(),
      next_at: z.int(),
      given_up: z.boolean(),
    }),
  ),
});

/** @param source whose deliveries they are: what is remembered of another's is dropped */
export function createLostDeliveries(
  store: Pick<Store, 'document' | 'saveDocument'>,
  source: string,
): LostDeliveries {
  const lost = new Map<string, LostDelivery>();
  let readUntil: number | undefined;
  let changed = false;

  const stored = documentSchema.safeParse(store.document(DOCUMENT));
  if (stored.success && stored.data.source === source) {
    readUntil = stored.data.read_until;
    for (const entry of stored.data.lost)
      put({
        guid: entry.guid,
        deliveryId: entry.delivery_id,
        deliveredAt: entry.delivered_at,
        action: entry.action,
        attempts: entry.attempts,
        nextAt: entry.next_at,
        givenUp: entry.given_up,
      });
    changed = false;
  }

  function put(entry: LostDelivery): void {
    lost.set(entry.guid, entry);
    changed = true;
  }

  return {
    get readUntil() {
      return readUntil;
    },
    all: () => lost.values(),
    get: (guid) => lost.get(guid),
    get isFull() {
      return lost.size >= MAX_LOST;
    },
    note({ guid, id, deliveredAt, action }) {
      const before = lost.get(guid);
      if (before === undefined)
        put({ guid, deliveryId: id, deliveredAt, action, attempts: 0, nextAt: 0, givenUp: false });
      else if (before.deliveredAt < deliveredAt) put({ ...before, deliveryId: id, deliveredAt });
    },
    change: (entry, fields) => put({ ...entry, ...fields }),
    settle(guid) {
      if (lost.delete(guid)) changed = true;
    },
    moveTo(until) {
      if (until === readUntil) return;
      readUntil = until;
      changed = true;
    },
    async save() {
      if (!changed) return;
      changed = false;
      try {
        await store.saveDocument(DOCUMENT, {
          source,
          ...(readUntil === undefined ? {} : { read_until: readUntil }),
          lost: [...lost.values()].map((entry) => ({
            guid: entry.guid,
            delivery_id: entry.deliveryId,
            delivered_at: entry.deliveredAt,
            ...(entry.action === undefined ? {} : { action: entry.action }),
            attempts: entry.attempts,
            next_at: entry.nextAt,
            given_up: entry.givenUp,
          })),
        });
      } catch (error) {
        changed = true;
        throw error;
      }
    },
  };
}
