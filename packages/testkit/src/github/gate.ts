/**
 * The one place where every request and every answer passes, in GitHub's order: route, user agent, credential, rate limits,
 * description, permission, handler; then the answer is held against the description too, and gets its headers. A request
 * that the description rejects is recorded as a violation; an answer that it rejects is a defect of the stand-in.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import { invalidRequest, notFound, refusal } from './answers.js';
import { toCallerName, type Caller, type Callers } from './callers.js';
import type { Description, Operation } from './description/description.js';
import {
  createRouteTable,
  type Answer,
  type RawRequest,
  type Route,
  type RouteMatch,
  type RouteName,
  type Silence,
  type StandInRequest,
} from './exchange.js';
import type { FaultDesk } from './faults.js';
import { toRateLimitHeaders, type RateLimits } from './rate-limit.js';
import type { SecondaryLimit } from './secondary-limit.js';
import type { ViolationBook } from './violations.js';

/** Requests that are remembered; the oldest are forgotten first. */
const MAX_RECORDS = 10_000;

/** A request that was answered. */
export interface RequestRecord {
  readonly at: number;
  readonly method: string;
  readonly path: string;
  /** `unknown`: no such route. */
  readonly route: RouteName | 'unknown';
  readonly status: number | Silence;
  /** Whose rate limit it counted against: `user`, `app`, `installation <id>`; undefined if it got that far only. */
  readonly caller: string | undefined;
}

export interface Gate {
  pass(request: RawRequest): Promise<Answer | Silence>;
  /** Copies, oldest first. */
  records(): RequestRecord[];
}

export interface GateDeps {
  readonly routes: readonly Route[];
  readonly description: Description;
  readonly callers: Callers;
  readonly faults: FaultDesk;
  readonly rateLimits: RateLimits;
  readonly secondaryLimit: SecondaryLimit;
  readonly violations: ViolationBook;
  readonly clock: Clock;
  /** An exception in a handler, or an answer that is not GitHub's: a defect of the stand-in itself. */
  readonly onDefect: (error: unknown) => void;
}

export interface GateOptions {
  /** What the paths of the REST API begin with: empty, or `/api/v3` as on an Enterprise Server. */
  readonly apiPrefix: string;
  readonly exceededStatus: 403 | 429;
}

export function createGate(deps: GateDeps, options: GateOptions): Gate {
  const { description, faults, rateLimits, violations } = deps;
  const findRoute = createRouteTable(deps.routes);
  const records: RequestRecord[] = [];

  /** The REST API is found below its prefix, and everything else only without one. */
  function match(request: RawRequest): RouteMatch | undefined {
    const { apiPrefix } = options;
    if (apiPrefix === '') return findRoute(request.method, request.path);
    const isApi = request.path.startsWith(`${apiPrefix}/`);
    const found = findRoute(request.method, isApi ? request.path.slice(apiPrefix.length) : request.path);
    return found !== undefined && (found.route.side === 'github') === isApi ? found : undefined;
  }

  async function pass(request: RawRequest): Promise<Answer | Silence> {
    const found = match(request);
    const whole: StandInRequest = {
      ...request,
      params: found?.params ?? {},
      apiUrl: `${request.origin}${options.apiPrefix}`,
      caller: undefined,
    };
    if (found === undefined) return record(whole, undefined, passUnknown(whole), undefined);
    if (found.route.side !== 'github')
      return record(whole, found.route, await answer(found.route, whole), undefined);
    return passApi(found.route, whole);
  }

  function passUnknown(request: StandInRequest): Answer {
    if (!request.path.startsWith('/_stand-in/'))
      violate(request, 'unknown', undefined, [
        'GitHub has no such path, or not in what was cut from its description.',
      ]);
    return notFound();
  }

  async function passApi(route: Route, request: StandInRequest): Promise<Answer | Silence> {
    if (request.headers['user-agent'] === undefined) return record(request, route, noUserAgent(), undefined);
    const identified = deps.callers.identify(text(request.headers.authorization), route);
    if (identified.kind === 'refused') return record(request, route, identified.answer, undefined);
    const { caller } = identified;
    const name = toCallerName(caller);
    const isFree = route.name === 'rate-limit';
    if (!isFree && !rateLimits.of(name).take()) return record(request, route, exceeded(caller), name);
    const retryAfterS = deps.secondaryLimit.enter(name, request.method, `${route.method} ${route.path}`);
    if (retryAfterS !== undefined) return record(request, route, abused(retryAfterS), name);
    try {
      return record(request, route, await answerApi(route, { ...request, caller }, caller), name);
    } finally {
      deps.secondaryLimit.leave(name);
    }
  }

  async function answerApi(route: Route, request: StandInRequest, caller: Caller): Promise<Answer | Silence> {
    const operation = description.find(route.method, route.path);
    if (operation === undefined) {
      deps.onDefect(new Error(`The route ${route.method} ${route.path} is not in GitHub's description`));
      return refusal(500, 'The stand-in GitHub has a route that GitHub has not');
    }
    const refused = judge(operation, route, request, caller);
    const answered = await answer(route, request, refused);
    if (typeof answered === 'string') return answered;
    const shown = withETag(request, answered, caller);
    const wrong = description.findAnswerFaults(operation, shown.status, shown.body);
    if (wrong.length === 0) return shown;
    deps.onDefect(
      new Error(
        `${request.method} ${request.path}: ${shown.status} is not GitHub's answer: ${wrong.join('; ')}`,
      ),
    );
    return refusal(500, `The stand-in GitHub has a defect: ${wrong.join('; ')}`);
  }

  /** What GitHub says before it does anything: a path, a body or a right that is not there. */
  function judge(
    operation: Operation,
    route: Route,
    request: StandInRequest,
    caller: Caller,
  ): Answer | undefined {
    const found = description.findRequestFaults(operation, {
      method: request.method,
      path: toDescribedPath(route.path, request.params),
      query: request.query,
      body: request.body,
    });
    const all = [...found.path, ...found.query, ...found.body];
    if (all.length > 0) violate(request, route.name, operation.id, all);
    const forbidden = deps.callers.refuse(caller, route, request.params, operation.forInstallations);
    if (forbidden !== undefined) return forbidden;
    if (found.path.length > 0) return notFound();
    if (found.body.length > 0) return invalidRequest(found.body);
    return undefined; // GitHub passes over a query that makes no sense
  }

  function violate(
    request: StandInRequest,
    route: RouteName | 'unknown',
    operation: string | undefined,
    found: readonly string[],
  ): void {
    const query = request.query.toString();
    violations.add({
      at: deps.clock.now(),
      method: request.method,
      path: query === '' ? request.path : `${request.path}?${query}`,
      route,
      operation,
      faults: found,
    });
  }

  /** @param refused what is answered instead of asking the handler; faults come first, as trouble on the way does */
  async function answer(route: Route, request: StandInRequest, refused?: Answer): Promise<Answer | Silence> {
    const injected = faults.forRequest(route.name);
    const failed = await injected.before();
    if (failed !== undefined) return failed;
    const answered = refused ?? (await handle(route, request));
    return (await injected.after()) ?? answered;
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
  function withETag(request: StandInRequest, answered: Answer, caller: Caller): Answer {
    if (request.method !== 'GET' || answered.status !== 200 || request.path.endsWith('/rate_limit'))
      return answered;
    const etag = `W/"${createHash('sha256').update(JSON.stringify(answered.body)).digest('hex')}"`;
    const headers = { ...answered.headers, etag };
    if (request.headers['if-none-match'] !== etag) return { ...answered, headers };
    rateLimits.of(toCallerName(caller)).giveBack();
    return { status: 304, headers };
  }

  function exceeded(caller: Caller): Answer {
    const whose =
      caller.kind === 'installation'
        ? `installation ID ${caller.token.installation.id}`
        : caller.kind === 'app'
          ? 'the App'
          : 'user ID 1';
    return refusal(options.exceededStatus, `API rate limit exceeded for ${whose}.`, RATE_LIMIT_DOCS);
  }

  /** Remembers it, and puts on it what all of GitHub's answers carry. */
  function record(
    request: StandInRequest,
    route: Route | undefined,
    answered: Answer | Silence,
    caller: string | undefined,
  ): Answer | Silence {
    records.push({
      at: deps.clock.now(),
      method: request.method,
      path: request.path,
      route: route?.name ?? 'unknown',
      status: typeof answered === 'string' ? answered : answered.status,
      caller,
    });
    if (records.length > MAX_RECORDS) records.shift();
    if (typeof answered === 'string') return answered;
    const isGitHub = route === undefined || route.side === 'github';
    return {
      ...answered,
      headers: {
        'x-github-request-id': requestId(),
        // Octokit signs an App's token again by this clock if its own is wrong
        date: new Date(deps.clock.now()).toUTCString(),
        ...(isGitHub ? toRateLimitHeaders(rateLimits.of(caller ?? 'user').state()) : {}),
        ...(isGitHub ? GITHUBS_HEADERS : {}),
        ...answered.headers,
      },
    };
  }

  return { pass, records: () => [...records] };
}

const GITHUBS_HEADERS = {
  'x-github-media-type': 'github.v3; format=json',
  'x-github-api-version-selected': '2022-11-28',
};
const RATE_LIMIT_DOCS = 'https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api';

const noUserAgent = (): Answer =>
  refusal(
    403,
    'Request forbidden by administrative rules. Please make sure your request has a User-Agent header.',
  );

/** Octokit's throttling knows it by the word `secondary rate`. */
const abused = (retryAfterS: number): Answer => ({
  ...refusal(
    403,
    'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
    `${RATE_LIMIT_DOCS}#about-secondary-rate-limits`,
  ),
  headers: { 'retry-after': String(retryAfterS) },
});

const text = (header: string | string[] | undefined) => (Array.isArray(header) ? header[0] : header);

/** The path below the prefix, encoded again. */
const toDescribedPath = (pattern: string, params: Readonly<Record<string, string>>): string =>
  pattern.replace(/\{(\w+)\}/g, (_named, name: string) => encodeURIComponent(params[name] ?? ''));

/** Shaped like GitHub's: `D5A0:3F1B:1A2B3C:4D5E6F:65A1B2C3`. */
function requestId(): string {
  const hex = randomBytes(14).toString('hex').toUpperCase();
  return [hex.slice(0, 4), hex.slice(4, 8), hex.slice(8, 14), hex.slice(14, 20), hex.slice(20)].join(':');
}
