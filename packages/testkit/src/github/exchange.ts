/** One request and its answer, as every part of the stand-in sees them. HTTP itself is `http-server.ts`. */

/** What a route is called in fault injection and in the record of requests; REST routes serve organization and repository. */
export type RouteName =
  | 'registration-token'
  | 'remove-token'
  | 'generate-jitconfig'
  | 'list-runners'
  | 'get-runner'
  | 'delete-runner'
  | 'set-labels'
  | 'list-runner-groups'
  | 'rate-limit'
  | 'register'
  | 'unregister'
  | 'open-session'
  | 'close-session'
  | 'poll'
  | 'acquire-job'
  | 'renew-job'
  | 'complete-job'
  | 'admin';

export interface StandInRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** The named parts of the route's path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Parsed JSON; undefined if there was no body. */
  readonly body: unknown;
  /** `http://host:port`, as the client wrote it. */
  readonly origin: string;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  /** Sent as JSON. Undefined: no body. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called if the client was gone before the answer could be sent. */
  readonly onUndelivered?: () => void;
}

/**
 * `github`: GitHub's REST API, as described by GitHub. `runner`: what runners talk to. `admin`: for tests and the demo.
 */
export type Side = 'github' | 'runner' | 'admin';

export interface Route {
  readonly name: RouteName;
  readonly side: Side;
  readonly method: string;
  /** As in GitHub's description: `/orgs/{org}/actions/runners/{runner_id}`. */
  readonly path: string;
  readonly handle: (request: StandInRequest) => Answer | Promise<Answer>;
}

export interface RouteMatch {
  readonly route: Route;
  readonly params: Record<string, string>;
}

/** Finds the route of a method and a path; a fixed part of a path wins over a named one. */
export function createRouteTable(
  routes: readonly Route[],
): (method: string, path: string) => RouteMatch | undefined {
  const table = routes
    .map((route) => ({ route, parts: route.path.split('/') }))
    .sort((a, b) => namedCount(a.parts) - namedCount(b.parts));
  return (method, path) => {
    const parts = path.split('/');
    for (const { route, parts: pattern } of table) {
      if (route.method !== method) continue;
      const params = matchParts(pattern, parts);
      if (params !== undefined) return { route, params };
    }
    return undefined;
  };
}

const isNamed = (part: string) => part.startsWith('{');
const namedCount = (parts: readonly string[]) => parts.filter(isNamed).length;

function matchParts(
  pattern: readonly string[],
  parts: readonly string[],
): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const actual = parts[index] ?? '';
    if (!isNamed(expected)) {
      if (expected !== actual) return undefined;
    } else if (actual === '') {
      return undefined;
    } else {
      try {
        params[expected.slice(1, -1)] = decodeURIComponent(actual);
      } catch {
        return undefined; // a broken %-sequence names nothing
      }
    }
  }
  return params;
}
