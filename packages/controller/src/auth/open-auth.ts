/** Makes the parts of auth/ and joins them: what HTTP, the streams and the composition root need of it. */
import path from 'node:path';
import type { JWTVerifyGetKey } from 'jose';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { App } from '../http/app.js';
import { UnknownVmError } from '../http/problems.js';
import { attemptsOf, type AuthConfig, type PoolJoin } from './auth-config.js';
import { createAttempts } from './limits/attempts.js';
import { openAuditLog } from './audit-log.js';
import { auditRoutes } from './audit-routes.js';
import { throttleRefusals } from './audit-throttle.js';
import { byCertificate } from './by-certificate.js';
import { byOidc } from './by-oidc.js';
import { createLimits, type LimitOptions, type Limits } from './limits/limits.js';
import { createCachedFile } from './cached-file.js';
import { createClaims, type KnownBoot } from './claims.js';
import { UnknownTokenError } from './errors.js';
import { ensureAdmin } from './first-admin.js';
import type { HttpGuardDeps, Reach } from './http-guard.js';
import { createAwsJoin } from './join/by-aws.js';
import { createGceJoin, googleKeys } from './join/by-gce.js';
import { createMtlsJoin } from './join/by-mtls.js';
import { createTokenJoin } from './join/by-token.js';
import { joinRoute } from './join-route.js';
import { createOperatorAuth } from './operator-auth.js';
import { readPrivateFile } from './private-file.js';
import { releaseRoute } from './release-route.js';
import { openSessionTokens } from './session-tokens.js';
import { openTokenBook } from './token-book.js';
import { poolsOfToken, tokenRoutes } from './token-routes.js';
import { createVmGate, type VmGate } from './vm-gate.js';

export interface AuthDeps {
  /** `{data_dir}`: everything of auth/ is in `.auth` and `.audit` there. */
  readonly dataDirectory: string;
  readonly config: AuthConfig;
  readonly required: boolean;
  readonly pools: Readonly<
    Record<string, { readonly join?: PoolJoin | undefined; readonly allow_unauthenticated: boolean }>
  >;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the fleet knows of a VM, and its pool. */
  readonly vm: (vmId: string) => (KnownBoot & { readonly poolId: string }) | undefined;
  readonly reach: Pick<Reach, 'command' | 'drain'>;
  /** The errors of things that are not there. */
  readonly absent: HttpGuardDeps['absent'];
  /** VMs of a pool that are there. */
  readonly countVms: (poolId: string) => number;
  readonly limits: LimitOptions;
  /** Enters a claim that was refused into the VM's history. */
  readonly onClaimRefused: (vmId: string, bootId: string, address: string) => void;
  /** Ends the VM's stream. */
  readonly cut: (vmId: string, reason: string) => void;
  /** Google's public keys; default: fetched. */
  readonly googleKeys?: JWTVerifyGetKey | undefined;
  /** How an identity provider is asked; default: that of Node. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

export interface Auth {
  readonly guard: HttpGuardDeps;
  readonly gate: VmGate;
  readonly limits: Limits;
  readonly audit: HttpGuardDeps['audit'];
  routes(app: App): void;
  /** Why nothing can be audited now. */
  problem(): string | undefined;
  /** Called every second. */
  sweep(): void;
  close(): Promise<void>;
}

/** @throws TokenFileError, SessionKeyError, or the file system's error */
export async function openAuth(deps: AuthDeps): Promise<Auth> {
  const { config, clock, logger, dataDirectory } = deps;
  const file = (name: string): string => path.join(dataDirectory, '.auth', name);
  const auditLog = await openAuditLog({ directory: path.join(dataDirectory, '.audit') }, { clock, logger });
  const audit = throttleRefusals(auditLog, clock);
  const book = await openTokenBook(file('tokens.json'), clock);
  await ensureAdmin(book, file('admin-token'), logger);
  const sessions = await openSessionTokens(
    file('session-key.json'),
    { clock },
    { lifetimeMs: config.session.lifetime },
  );
  const limits = createLimits({ clock, countVms: deps.countVms }, deps.limits);
  const claims = createClaims({ clock, known: deps.vm });
  const gate = createVmGate(
    {
      sessions,
      claims,
      methods: {
        token: createTokenJoin({ book, readFile: createCachedFile(readPrivateFile, clock) }),
        gce: createGceJoin({ keys: deps.googleKeys ?? googleKeys(config.google_keys_url, fetch), clock }),
        aws: createAwsJoin({ book, readFile: readPrivateFile }),
        mtls: createMtlsJoin(),
      },
      audit,
      poolOf(vmId) {
        const vm = deps.vm(vmId);
        return vm === undefined || vm.ended || vm.lost ? undefined : vm.poolId;
      },
      poolOfToken(token) {
        const record = book.find(token);
        return record?.kind === 'join' ? record.poolId : undefined;
      },
      pool(poolId) {
        const pool = Object.hasOwn(deps.pools, poolId) ? deps.pools[poolId] : undefined;
        return {
          join: pool?.join ?? config.join,
          allowUnauthenticated: pool?.allow_unauthenticated ?? false,
        };
      },
      onClaimRefused: deps.onClaimRefused,
      joins: (vmId) => limits.connect(vmId),
      newVm: (poolId) => limits.newVm(poolId),
      attempts: createAttempts(clock, attemptsOf(config)),
    },
    { required: deps.required, bindAddress: config.session.bind_address },
  );

  function release(vmId: string): void {
    if (deps.vm(vmId) === undefined) throw new UnknownVmError(vmId);
    claims.release(vmId);
    deps.cut(vmId, `VM ${vmId} was released by an operator: this boot is over`);
  }

  return {
    gate,
    limits,
    audit,
    guard: {
      limits,
      operators: createOperatorAuth(
        { book, methods: [byCertificate, byOidc(config.oidc, { clock, fetch: deps.fetch ?? fetch })] },
        { required: deps.required },
      ),
      vms: gate,
      audit,
      absent: (over, id) => (over === 'token' ? new UnknownTokenError(id) : deps.absent(over, id)),
      reach: {
        ...deps.reach,
        vm: (vmId) => deps.vm(vmId)?.poolId,
        token(tokenId) {
          const token = book.list().find(({ id }) => id === tokenId);
          return token === undefined ? undefined : poolsOfToken(token);
        },
      },
    },
    routes(app) {
      joinRoute(app, { gate });
      releaseRoute(app, { release });
      tokenRoutes(app, { book, now: () => clock.now() });
      auditRoutes(app, { auditLog });
    },
    problem: () => auditLog.problem(),
    sweep: () => audit.sweep(),
    async close() {
      audit.sweep('all');
      await auditLog.close();
    },
  };
}
