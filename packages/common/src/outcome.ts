/**
 * What became of a thing that is expected to fail now and then.
 *
 * `retryable`: the same attempt may succeed later (not before `afterMs`, if the other side said so).
 * `fatal`: the same attempt can never succeed; `reason` says what would have to change.
 */
export type Outcome<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'retryable'; readonly reason: string; readonly afterMs?: number }
  | { readonly kind: 'fatal'; readonly reason: string };

export const ok = <T>(value: T): Outcome<T> => ({ kind: 'ok', value });
export const retryable = (reason: string, afterMs?: number): Outcome<never> =>
  afterMs === undefined ? { kind: 'retryable', reason } : { kind: 'retryable', reason, afterMs };
export const fatal = (reason: string): Outcome<never> => ({ kind: 'fatal', reason });
