import { json } from './answers.js';
import type { Route } from './exchange.js';
import { toCallerName } from './callers.js';
import type { RateLimits } from './rate-limit.js';

/** What a caller has left; asking costs nothing (github-facts 2.1). */
export const createRateLimitRoutes = (rateLimits: RateLimits): Route[] => [
  {
    name: 'rate-limit',
    side: 'github',
    credential: 'any',
    method: 'GET',
    path: '/rate_limit',
    handle(request) {
      const core = rateLimits
        .of(request.caller === undefined ? 'user' : toCallerName(request.caller))
        .state();
      const search = { limit: 30, remaining: 30, used: 0, reset: core.reset };
      return json(200, { resources: { core, search }, rate: core });
    },
  },
];
