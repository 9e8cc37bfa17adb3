import type { LimitFunction } from 'p-limit';

/** Does it for every item, as many at a time as the limit says. When it settles, nothing of it goes on any more. */
export async function forEach<T>(
  limit: LimitFunction,
  items: readonly T[],
  operation: (item: T) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(items.map((item) => limit(operation, item)));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
