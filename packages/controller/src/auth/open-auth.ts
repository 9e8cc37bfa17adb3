/** Makes the parts of auth/ and joins them: what HTTP, the streams and the composition root need of it. */
import path from 'node:path';
import type { JWTVerifyGetKey } from 'jose';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { neverSeen } from '../commands/drain-selection.js';
import type { App } from '../http/app.js';
import { UnknownVmError } from '../http/problems.js';
import { attemptsOf, type AuthConfig, type PoolJoin } from './auth-config.js';
import { createAttempts } from './limits/attempts.js';
import { openAuditLog } from './audit-log.js';
import { auditRoutes } from './audit-routes.js';
import { throttleRefusals } from './audit-throttle.js';
import { byCertificate } from './by-certificate.js';
import { certificateRoutes } from './certificate-routes.js';
import { byOidc } from './by-oidc.js';
import { createLimits, type LimitOptions, type Limits } from './limits/limits.js';
import { createCachedFile } from './cached-file.js';
import { createClaims, type KnownBoot } from './claims.js';
import { ensurePrivate } from './ensure-private.js';
import { UnknownTokenError } from './errors.js';
import { ensureAdmin } from './first-admin.js';
import type { Reach } from './call-reach.js';
import type { HttpGuardDeps } from './http-guard.js';
import { createAwsJoin } from './join/by-aws.js';
import { createGceJoin, googleKeys } from './join/by-gce.js';
import { createMtlsJoin } from './join/by-mtls.js';
import { createTokenJoin } from './join/by-token.js';
import { joinRoute } from './join-route.js';
import { createOperatorAuth } from './operator-auth.js';
import { readPrivateFile } from './private-file.js';
import { joinUnlessRevoked, openRevokedCertificates, operatorUnlessRevoked } from './revoked-certificates.js';
import { releaseRoute } from './release-route.js';
import { openNameBook } from './name-book.js';
import { openSessionTokens, type SessionTokens } from './session-tokens.js';
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
  readonly vm: (vmId: string) => KnownBoot | undefined;
  readonly reach: Omit<Reach, 'vm' | 'token'>;
  /** The errors of things that are not there. */
  readonly absent: HttpGuardDeps['absent'];
  /** VMs of a pool that are there. */
  readonly countVms: (poolId: string) => number;
  readonly limits: LimitOptions;
  /** The client certificate of a connection, if it counts now. */
  readonly certificateOf: HttpGuardDeps['certificateOf'];
  /** ` --server URL …`: how migctl reaches this controller, for the log. */
  readonly loginFlags: string;
  readonly door: HttpGuardDeps['door'];
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
  readonly sessions: Pick<SessionTokens, 'verify' | 'recall'>;
  readonly audit: HttpGuardDeps['audit'];
  routes(app: App): void;
  /** Why nothing can be audited now. */
  problem(): string | undefined;
  /** What was done to the audit log; empty = nothing. */
  warnings(): readonly string[];
  /** Called every second. */
  sweep(): void;
  close(): Promise<void>;
}

/** @throws TokenFileError, SessionKeyError, or the file system's error */
export async function openAuth(deps: AuthDeps): Promise<Auth> {
  const { config, clock, logger, dataDirectory } = deps;
  const file = (name: string): string => path.join(dataDirectory, '.auth', name);
  await ensurePrivate(path.join(dataDirectory, '.auth'), logger);
  const auditLog = await openAuditLog(
    { directory: path.join(dataDirectory, '.audit'), sealDirectory: path.join(dataDirectory, '.auth') },
    { clock, logger },
  );
  const audit = throttleRefusals(auditLog, clock);
  const book = await openTokenBook(file('tokens.json'), clock);
  const revoked = await openRevokedCertificates(file('revoked-certificates.json'), clock);
  await ensureAdmin({ book, audit, logger }, { file: file('admin-token'), loginFlags: deps.loginFlags });
  const sessions = await openSessionTokens(
    file('session-key.json'),
    { clock },
    { lifetimeMs: config.session.lifetime },
  );
  const limits = createLimits({ clock, countVms: deps.countVms }, deps.limits);
  const names = await openNameBook(file('names.jsonl'), { logger });
  const claims = createClaims(
    { clock, known: deps.vm, names },
    { sessionLifetimeMs: config.session.lifetime, bindsPools: deps.required },
  );
  const attempts = createAttempts(clock, attemptsOf(config));
  const gate = createVmGate(
    {
      sessions,
      claims,
      methods: {
        token: createTokenJoin({ book, readFile: createCachedFile(readPrivateFile, clock) }),
        gce: createGceJoin({
          keys: deps.googleKeys ?? googleKeys(config.google_keys_url, deps.fetch ?? fetch, clock),
          clock,
        }),
        aws: createAwsJoin({ book, readFile: readPrivateFile }),
        mtls: joinUnlessRevoked(createMtlsJoin(), revoked),
      },
      audit,
      poolOf(vmId) {
        const vm = deps.vm(vmId);
        return vm === undefined || vm.ended || vm.lost ? undefined : vm.poolId;
      },
      isDone: (vmId) => deps.vm(vmId)?.done === true,
      endsSessions: (tokenId) => book.endsSessions(tokenId),
      revocationCount: () => book.revocationCount,
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
      joins: (vmId) => limits.join(vmId),
      newVm: (poolId) => limits.newVm(poolId),
      failed: (address) => attempts.failed(address),
    },
    { required: deps.required, bindAddress: config.session.bind_address },
  );

  async function release(vmId: string): Promise<void> {
    if (deps.vm(vmId) === undefined) throw new UnknownVmError(vmId);
    try {
      await claims.release(vmId);
    } finally {
      deps.cut(vmId, `VM ${vmId} was released by an operator: this boot is over`);
    }
  }

  return {
    gate,
    limits,
    sessions,
    audit,
    guard: {
      limits,
      certificateOf: deps.certificateOf,
      sessions,
      door: deps.door,
      operators: createOperatorAuth(
        {
          book,
          methods: [
            operatorUnlessRevoked(byCertificate, revoked),
            byOidc(config.oidc, { clock, fetch: deps.fetch ?? fetch }),
          ],
        },
        { required: deps.required },
      ),
      vms: gate,
      audit,
      unseen: neverSeen,
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
      certificateRoutes(app, { revoked });
      auditRoutes(app, { auditLog });
    },
    problem: () => auditLog.problem(),
    warnings: () =>
      auditLog
        .faults()
        .map(
          (fault) =>
            `the audit log was changed by somebody else: ${fault}; see "migctl audit verify", and docs/security.md`,
        ),
    sweep() {
      gate.sweep();
      claims.sweep();
      audit.sweep();
      auditLog.look();
    },
    async close() {
      await names.close();
      audit.sweep('all');
      await auditLog.close();
    },
  };
}
