/** That a peer sent more than it may, as a gRPC status: it is the peer's doing, and its connection is not worth keeping. */
import { ServerError, Status } from 'nice-grpc';
import type { TooMuchError } from '../auth/limits/limits.js';

export class TooMuchStatus extends ServerError {
  /** Milliseconds until there is room again. */
  readonly retryAfterMs: number;

  constructor({ message, retryAfterMs }: TooMuchError) {
    super(Status.RESOURCE_EXHAUSTED, message);
    this.retryAfterMs = retryAfterMs;
  }
}
