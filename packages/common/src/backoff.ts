/** Exponential backoff with full jitter. */
export interface BackoffOptions {
  /** Upper bound of the first delay, milliseconds. */
  readonly firstMs: number;
  /** Upper bound of every delay, milliseconds. */
  readonly maxMs: number;
  /** How the bound grows from one attempt to the next. Default 2. */
  readonly factor?: number;
}

/**
 * The delay before attempt number `attempt + 1` (attempt 0 is the first that failed): a random value between 0 and
 * the attempt's bound, so that a fleet that lost its controller at once does not come back at once.
 * (AWS Architecture Blog, "Exponential Backoff And Jitter", full jitter.)
 *
 * @param random a number in [0, 1), `Math.random` outside tests
 */
export function backoffDelayMs(options: BackoffOptions, attempt: number, random: () => number): number {
  const bound = Math.min(options.maxMs, options.firstMs * (options.factor ?? 2) ** attempt);
  return Math.round(random() * bound);
}
