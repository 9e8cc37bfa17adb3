/**
 * The one place where every request and every answer passes: route, credentials, rate limit, faults, handler, headers,
 * record. Whatever has to hold for all of GitHub's answers is put in here.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import { notFound, refusal } from './answers.js';
import {
  createRouteTable,
  type Answer,
  type Route,
  type RouteName,
  type StandInRequest,
} from './exchange.js';
import type { FaultDesk } from './faults.js';
import { toRateLimitHeaders, type RateLimit } from './rate-limit.js';

/** Requests that are remembered; the oldest are forgotten first. */
const MAX_RECORDS = 10_000;

/** A request that was answered. */
export interface RequestRecord {
  readonly at: number;
  readonly method: string;
  readonly path: string;
  /** `unknown`: no such route. */
  readonly route: RouteName | 'unknown';
  readonly status: number | 'no-answer';
}

export interface Gate {
  pass(request: Omit<StandInRequest, 'params'>): Promise<Answer | 'no-answer'>;
  /** Copies, oldest first. */
  records(): RequestRecord[];
}

export interface GateDeps {
  readonly routes: readonly Route[];
  readonly faults: FaultDesk;
  readonly rateLimit: RateLimit;
  readonly clock: Clock;
  /** The tokens that the REST API accepts. */
  readonly apiTokens: readonly string[];
  /** An exception in a handler: a defect of the stand-in itself. */
  readonly onDefect: (error: unknown) => void;
}

export function createGate(deps: GateDeps): Gate {
  const findRoute = createRouteTable(deps.routes);
  const records: RequestRecord[] = [];

  async function answer(route: Route, request: StandInRequest): Promise<Answer | 'no-answer'> {
    const refused = route.side === 'github' ? refuseClient(request) : undefined;
    if (refused !== undefined) return refused;
    const faults = deps.faults.forRequest(route.name);
    const failed = await faults.before();
    if (failed !== undefined) return failed;
    const answered = await handle(route, request);
    return faults.after() ?? (route.side === 'github' ? withETag(request, answered) : answered);
  }

  async function handle(route: Route, request: StandInRequest): Promise<Answer> {
    try {
      return await route.handle(request);
    } catch (error) {
      deps.onDefect(error);
      return refusal(500, `The stand-in GitHub has a defect: ${errorMessage(error)}`);
    }
  }

  /** An answer that the client has already is 304 and does not count against the rate limit (github-facts 2.3). */
  function withETag(request: StandInRequest, answered: Answer): Answer {
    if (request.method !== 'GET' || answered.status !== 200 || request.path === '/rate_limit')
      return answered;
    const etag = `W/"${createHash('sha256').update(JSON.stringify(answered.body)).digest('hex')}"`;
    if (request.headers['if-none-match'] !== etag)
      return { ...answered, headers: { ...answered.headers, etag } };
    deps.rateLimit.giveBack();
    return { status: 304, headers: { etag } };
  }

  /** What GitHub checks before it looks at what is asked: a user agent, a token, the rate limit. */
  function refuseClient(request: StandInRequest): Answer | undefined {
    if (request.headers['user-agent'] === undefined) {
      return refusal(
        403,
        'Request forbidden by administrative rules. Please make sure your request has a User-Agent header.',
      );
    }
    const [scheme, token] = String(request.headers.authorization ?? '').split(' ');
    if (token === undefined || !/^(bearer|token)$/i.test(scheme ?? ''))
      return refusal(401, 'Requires authentication');
    if (!deps.apiTokens.includes(token)) return refusal(401, 'Bad credentials');
    if (request.path !== '/rate_limit' && !deps.rateLimit.take()) {
      return refusal(403, 'API rate limit exceeded for installation ID 1.');
    }
    return undefined;
  }

  return {
    async pass(request) {
      const match = findRoute(request.method, request.path);
      const answered =
        match === undefined ? notFound() : await answer(match.route, { ...request, params: match.params });
      records.push({
        at: deps.clock.now(),
        method: request.method,
        path: request.path,
        route: match?.route.name ?? 'unknown',
        status: answered === 'no-answer' ? answered : answered.status,
      });
      if (records.length > MAX_RECORDS) records.shift();
      if (answered === 'no-answer') return answered;
      const isGitHub = match === undefined || match.route.side === 'github';
      return {
        ...answered,
        headers: {
          'x-github-request-id': requestId(),
          ...(isGitHub ? toRateLimitHeaders(deps.rateLimit.state()) : {}),
          ...answered.headers,
        },
      };
    },
    records: () => [...records],
  };
}

/** Shaped like GitHub's: `D5A0:3F1B:1A2B3C:4D5E6F:65A1B2C3`. */
function requestId(): string {
  const hex = randomBytes(14).toString('hex').toUpperCase();
  return [hex.slice(0, 4), hex.slice(4, 8), hex.slice(8, 14), hex.slice(14, 20), hex.slice(20)].join(':');
}
