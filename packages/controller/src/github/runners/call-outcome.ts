import { errorMessage } from '@mig/common/errors';
import { fatal, retryable, type Outcome } from '@mig/common/outcome';
import { GitHubCallError } from '../client/github-client.js';

/** What a failed call is to who would try it again. A credential may be put right at any time: that is no end. */
export function toOutcome(error: unknown): Outcome<never> {
  if (!(error instanceof GitHubCallError)) return retryable(errorMessage(error));
  // GitHub finds the request itself wrong: it would every time.
  if (error.failure === 'refused' && error.status === 422) return fatal(error.message);
  return retryable(error.message, error.retryAfterMs);
}
