/** When somebody who met a limit may try again, in the trailers of gRPC: as `Retry-After` of HTTP, in seconds. */
import { Metadata } from 'nice-grpc';

/** Of an error that does not say it. */
const DEFAULT_MS = 5_000;

/** @param error has `retryAfterMs` where it is known */
export function retryAfter(error: unknown): Metadata {
  const { retryAfterMs } = error as { readonly retryAfterMs?: unknown };
  const ms = typeof retryAfterMs === 'number' ? retryAfterMs : DEFAULT_MS;
  return Metadata({ 'retry-after': String(Math.max(1, Math.ceil(ms / 1_000))) });
}
