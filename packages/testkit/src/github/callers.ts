/**
 * Who asks, by the credential of the request, and whether they may. GitHub's description has no word about this: what is
 * here follows GitHub's documentation and the messages that its clients have seen.
 */
import type { AppDesk, InstallationToken } from './app/app-desk.js';
import { isEnough } from './app/levels.js';
import { refusal } from './answers.js';
import type { Directory } from './directory.js';
import type { Answer, Route } from './exchange.js';

export type Caller =
  /** A token of the options: a user with every right. */
  | { readonly kind: 'user' }
  /** The App itself, by its JSON web token. */
  | { readonly kind: 'app' }
  | { readonly kind: 'installation'; readonly token: InstallationToken };

/** Whose rate limit counts: `user`, `app`, `installation <id>`. */
export const toCallerName = (caller: Caller): string =>
  caller.kind === 'installation' ? `installation ${caller.token.installation.id}` : caller.kind;

export type Identified =
  | { readonly kind: 'caller'; readonly caller: Caller }
  | { readonly kind: 'refused'; readonly answer: Answer };

export interface Callers {
  identify(authorization: string | undefined, route: Route): Identified;
  /** The refusal for a caller who may not do this, or undefined. */
  refuse(
    caller: Caller,
    route: Route,
    params: Readonly<Record<string, string>>,
    forInstallations: boolean,
  ): Answer | undefined;
}

export function createCallers(deps: {
  readonly tokens: readonly string[];
  readonly app: AppDesk | undefined;
  readonly directory: Directory;
}): Callers {
  const { app, directory } = deps;

  function identifyApp(token: string): Identified {
    const verdict = app?.checkJwt(token) ?? NO_APP;
    if (verdict.kind === 'ok') return { kind: 'caller', caller: { kind: 'app' } };
    return refused(verdict.status, verdict.message);
  }

  function identifyToken(token: string): Identified {
    if (deps.tokens.includes(token)) return { kind: 'caller', caller: { kind: 'user' } };
    const issued = app?.findToken(token);
    if (issued === undefined) return refused(401, 'Bad credentials');
    if (issued.installation.suspendedAt !== undefined)
      return refused(403, 'This installation has been suspended');
    return { kind: 'caller', caller: { kind: 'installation', token: issued } };
  }

  /** The organization and repository that a path names have to be those of the installation. */
  function isElsewhere(
    token: InstallationToken,
    params: Readonly<Record<string, string>>,
  ): Answer | undefined {
    const owner = params['org'] ?? params['owner'];
    if (owner === undefined || directory.findOrganization(owner) === undefined) return undefined; // the handler's 404
    if (owner.toLowerCase() !== token.installation.account.login.toLowerCase()) return inaccessible();
    const { repositories } = token;
    const wanted = params['repo']?.toLowerCase();
    if (wanted === undefined || repositories === undefined) return undefined;
    return repositories.some(({ name }) => name.toLowerCase() === wanted)
      ? undefined
      : refusal(404, 'Not Found');
  }

  return {
    identify(authorization, route) {
      const [scheme = '', token, ...rest] = (authorization ?? '').split(' ');
      if (token === undefined || rest.length > 0 || !/^(bearer|token)$/i.test(scheme))
        return refused(401, 'Requires authentication');
      const credential = route.credential ?? 'token';
      const isJwt = token.split('.').length === 3;
      if (credential === 'app' || (credential === 'any' && isJwt)) return identifyApp(token);
      return identifyToken(token);
    },
    refuse(caller, route, params, forInstallations) {
      if (caller.kind !== 'installation') return undefined;
      if (route.credential === 'user' || (!forInstallations && route.credential !== 'any'))
        return inaccessible();
      const elsewhere = isElsewhere(caller.token, params);
      if (elsewhere !== undefined) return elsewhere;
      const { permission } = route;
      if (permission === undefined) return undefined;
      if (isEnough(caller.token.permissions[permission.name], permission.level)) return undefined;
      return inaccessible(`${permission.name}=${permission.level}`);
    },
  };
}

const NO_APP = { kind: 'refused', status: 401, message: 'A JSON web token could not be decoded' } as const;

const refused = (status: number, message: string): Identified => ({
  kind: 'refused',
  answer: refusal(status, message),
});

/** @param accepted what would have been enough, as GitHub says in `x-accepted-github-permissions` */
function inaccessible(accepted?: string): Answer {
  const answer = refusal(403, 'Resource not accessible by integration');
  return accepted === undefined
    ? answer
    : { ...answer, headers: { 'x-accepted-github-permissions': accepted } };
}
