/** One request and its answer, as every part of the stand-in sees them. HTTP itself is `http-server.ts`. */

import type { Caller } from './callers.js';

/** What routes are called in fault injection and in the record of requests; one name for all scopes. */
export const ROUTE_NAMES = [
  // runners
  'registration-token',
  'remove-token',
  'generate-jitconfig',
  'list-runners',
  'get-runner',
  'delete-runner',
  'list-labels',
  'add-labels',
  'set-labels',
  'remove-labels',
  'remove-label',
  'list-downloads',
  'list-runner-groups',
  'get-runner-group',
  'list-group-runners',
  'delete-runner-group',
  'get-runner-settings',
  // jobs
  'get-job',
  'rerun-job',
  'list-runs',
  'get-run',
  'list-run-jobs',
  'list-attempt-jobs',
  'cancel-run',
  'force-cancel-run',
  'rerun-run',
  'rerun-failed-jobs',
  // the App, and webhooks
  'get-app',
  'list-installations',
  'get-installation',
  'find-installation',
  'create-installation-token',
  'list-user-installations',
  'convert-manifest',
  'get-app-hook',
  'update-app-hook',
  'create-hook',
  'list-deliveries',
  'get-delivery',
  'redeliver',
  'rate-limit',
  // the runners' side
  'register',
  'unregister',
  'open-session',
  'close-session',
  'poll',
  'acquire-job',
  'renew-job',
  'complete-job',
  'admin',
] as const;

export type RouteName = (typeof ROUTE_NAMES)[number];

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
  /** Where the REST API begins: the origin, and the prefix of the stand-in's options. */
  readonly apiUrl: string;
  /** Who asks; undefined for routes that are not GitHub's. */
  readonly caller: Caller | undefined;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/** A request as the HTTP server reads it, before anything is known about it. */
export type RawRequest = Omit<StandInRequest, 'params' | 'apiUrl' | 'caller'>;

export interface Answer {
  readonly status: number;
  /** Sent as JSON. Undefined: no body. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called if the client was gone before the answer could be sent. */
  readonly onUndelivered?: () => void;
}

/**
 * No answer at all: `no-answer` closes the connection, `reset` resets it (RST), `silence` leaves it open and says nothing
 * until the client gives up.
 */
export type Silence = 'no-answer' | 'reset' | 'silence';

export type Level = 'read' | 'write' | 'admin';

/** What an App's installation has to be granted: `organization_self_hosted_runners: write`. */
export interface Permission {
  readonly name: string;
  readonly level: Level;
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
  /**
   * Which credential: `token` (default) a user's or an installation's, `user` a user's, `app` the App's JSON web token,
   * `any` each of them. Of `github` routes only.
   */
  readonly credential?: 'token' | 'user' | 'app' | 'any';
  /** What an installation's token needs here. Undefined: nothing but to be valid. */
  readonly permission?: Permission | undefined;
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
