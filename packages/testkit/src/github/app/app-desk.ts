/**
 * The one GitHub App that the stand-in knows: its keys, where it is installed, and the tokens that its installations have.
 * A token is valid for an hour, for its installation's organization, and for no more than the installation was granted.
 */
import { createPublicKey, randomBytes, type KeyObject } from 'node:crypto';
import type { Clock } from '@mig/common/clock';
import type { Directory, Organization, Repository } from '../directory.js';
import type { Level } from '../exchange.js';
import { verifyAppJwt, type JwtVerdict } from './app-jwt.js';

/** An installation's token is valid for an hour (github-facts 2.2). */
const TOKEN_LIFETIME_MS = 3_600_000;
/** Tokens that are remembered; the oldest are forgotten first. */
const MAX_TOKENS = 10_000;

export type Permissions = Readonly<Record<string, Level>>;

/** What a controller of runners needs, for organizations and for repositories (github-facts 2.2). */
const DEFAULT_PERMISSIONS: Permissions = {
  organization_self_hosted_runners: 'write',
  administration: 'write',
  actions: 'write',
  metadata: 'read',
};

export interface AppOptions {
  /** Default 4711. */
  readonly id?: number;
  /** `iss` may be this too. Default `Iv23standin4711`. */
  readonly clientId?: string;
  /** Default `stand-in-runners`. */
  readonly slug?: string;
  /** PEM, public or private; a token that is signed with any of them is accepted. At least one. */
  readonly keys: readonly string[];
  /** What every installation is granted. Default what a controller of runners needs. */
  readonly permissions?: Permissions;
  /** The organizations where it is installed. Default all. */
  readonly installedAt?: readonly string[];
}

export interface Installation {
  readonly id: number;
  readonly account: Organization;
  readonly permissions: Permissions;
  readonly createdAt: number;
  suspendedAt: number | undefined;
}

export interface InstallationToken {
  readonly token: string;
  readonly installation: Installation;
  readonly permissions: Permissions;
  /** Undefined: all of the organization. */
  readonly repositories: readonly Repository[] | undefined;
  readonly expiresAt: number;
}

/** For tests: what an operator does to an App on GitHub's pages. */
export interface AppControls {
  readonly id: number;
  /** The installation at an organization. Throws if there is none. */
  installationId(organization: string): number;
  /** Takes the place of all keys. */
  setKeys(keys: readonly string[]): void;
  /** Its tokens are refused, and no more are issued. */
  suspend(organization: string): void;
  unsuspend(organization: string): void;
  /** Its tokens end. */
  uninstall(organization: string): void;
  /** Has another id than any installation before. */
  install(organization: string): void;
  /** Every token that was issued ends now. */
  revokeTokens(): void;
}

export interface AppDesk extends AppControls {
  readonly clientId: string;
  readonly slug: string;
  readonly permissions: Permissions;
  readonly createdAt: number;
  checkJwt(token: string): JwtVerdict;
  /** In the order of their ids. */
  installations(): readonly Installation[];
  issue(installation: Installation, limits: TokenLimits): InstallationToken;
  /** Undefined if it was never issued, expired or was revoked. */
  findToken(token: string): InstallationToken | undefined;
}

/** What a token is to have less than its installation. */
export interface TokenLimits {
  readonly permissions?: Permissions | undefined;
  readonly repositories?: readonly Repository[] | undefined;
}

export function createAppDesk(deps: { clock: Clock; directory: Directory }, options: AppOptions): AppDesk {
  const { clock, directory } = deps;
  const id = options.id ?? 4711;
  const clientId = options.clientId ?? `Iv23standin${id}`;
  const permissions = options.permissions ?? DEFAULT_PERMISSIONS;
  const installations = new Map<number, Installation>();
  const tokens = new Map<string, InstallationToken>();
  let keys = toKeys(options.keys);
  let lastId = 90_000;

  function install(login: string): void {
    const account = directory.findOrganization(login);
    if (account === undefined)
      throw new Error(`The stand-in GitHub has no organization ${login} to install its App at`);
    lastId += 1;
    installations.set(lastId, {
      id: lastId,
      account,
      permissions,
      createdAt: clock.now(),
      suspendedAt: undefined,
    });
  }

  function installationAt(login: string): Installation {
    const found = [...installations.values()].find(
      ({ account }) => account.login.toLowerCase() === login.toLowerCase(),
    );
    if (found === undefined) throw new Error(`The stand-in GitHub's App is not installed at ${login}`);
    return found;
  }

  for (const login of options.installedAt ?? directory.organizations.map((known) => known.login))
    install(login);

  return {
    id,
    clientId,
    slug: options.slug ?? 'stand-in-runners',
    permissions,
    createdAt: clock.now(),
    checkJwt: (token) => verifyAppJwt(token, { issuers: [String(id), clientId], keys, nowMs: clock.now() }),
    installations: () => [...installations.values()],
    installationId: (login) => installationAt(login).id,
    issue(installation, limits) {
      const issued: InstallationToken = {
        token: `ghs_${randomBytes(27).toString('base64url').replace(/[-_]/g, '0')}`, // the real ones: 36 letters and digits
        installation,
        permissions: limits.permissions ?? installation.permissions,
        repositories: limits.repositories,
        expiresAt: clock.now() + TOKEN_LIFETIME_MS,
      };
      tokens.set(issued.token, issued);
      for (const oldest of tokens.keys()) {
        if (tokens.size <= MAX_TOKENS) break;
        tokens.delete(oldest);
      }
      return issued;
    },
    findToken(token) {
      const known = tokens.get(token);
      if (known === undefined || known.expiresAt <= clock.now()) return undefined;
      return installations.has(known.installation.id) ? known : undefined;
    },
    setKeys(pems) {
      keys = toKeys(pems);
    },
    suspend(login) {
      installationAt(login).suspendedAt = clock.now();
    },
    unsuspend(login) {
      installationAt(login).suspendedAt = undefined;
    },
    uninstall(login) {
      installations.delete(installationAt(login).id);
    },
    install,
    revokeTokens: () => tokens.clear(),
  };
}

function toKeys(pems: readonly string[]): KeyObject[] {
  if (pems.length === 0) throw new Error('The App of the stand-in GitHub has no key (keys: []): give it one');
  return pems.map((pem) => createPublicKey(pem));
}
