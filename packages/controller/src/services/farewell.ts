/**
 * The streams at the controller's end: each MIGlet is told to close its own and when to come back, so that a restart is no
 * storm. A legacy MIGlet cannot be told, and is cut.
 */
import type { Logger } from '@mig/common/logger';
import type { Feed } from '../fleet/feed.js';
import type { Links } from '../fleet/links.js';

export const STOPPING_MESSAGE = 'the controller is stopping: connect again';

/** The times to come back are spread over at least this. */
const MIN_WINDOW_MS = 2_000;
/** A fleet whose controller vanished without a word comes back over at least this. */
const MIN_CRASH_WINDOW_MS = 5_000;

/** Over how long so many MIGlets come back, so that not more than `perSecond` do at a time; milliseconds. */
const windowMs = (count: number, perSecond: number, leastMs: number): number =>
  Math.max(leastMs, Math.ceil((count / perSecond) * 1_000));

/** What a MIGlet is told when it connects, for a stream that breaks without a word. */
export const crashWindowMs = (count: number, perSecond: number): number =>
  windowMs(count, perSecond, MIN_CRASH_WINDOW_MS);

/** Resolves when all streams have been closed by their MIGlets, or after `patienceMs`; those that are left stay open. */
export async function sayFarewell(
  {
    links,
    feed,
    random,
    logger,
  }: {
    readonly links: Links;
    readonly feed: Feed;
    readonly random: () => number;
    readonly logger: Logger;
  },
  { perSecond, patienceMs }: { readonly perSecond: number; readonly patienceMs: number },
): Promise<void> {
  const spreadMs = windowMs(links.count, perSecond, MIN_WINDOW_MS);
  logger.info({ connectedCount: links.count, spreadMs }, 'MIGlets are told to connect again');
  for (const link of links.all()) {
    if (link.legacy) link.close({ kind: 'stopping', message: STOPPING_MESSAGE });
    else
      link.send({
        kind: 'reconnect',
        afterMs: Math.floor(random() * spreadMs),
        reason: 'the controller is stopping',
      });
  }
  if (links.count === 0) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(end, patienceMs);
    const unsubscribe = feed.subscribe((change) => {
      if (change.kind === 'link' && links.count === 0) end();
    });
    function end(): void {
      clearTimeout(timer);
      unsubscribe();
      resolve();
    }
  });
}
