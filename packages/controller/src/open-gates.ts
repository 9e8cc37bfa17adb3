/** Who gets in, and by which wire: opens authentication and the files of TLS for the parts of this controller. */
import { systemClock, type Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { IsBusy } from '@mig/common/process-load';
import { exposures, hasTls, requiresAuth } from './auth/auth-config.js';
import { joinWarnings } from './auth/join-warnings.js';
import { openAuth, type Auth } from './auth/open-auth.js';
import { createReach, type FleetReach } from './auth/reach.js';
import type { ServerTls } from './auth/tls/servers.js';
import { createClientTrust } from './auth/tls/client-trust.js';
import { loginFlags } from './auth/tls/login-flags.js';
import { openTlsFiles } from './auth/tls/tls-files.js';
import type { ControllerConfig } from './config.js';
import { createDoor, type Door } from './door/door.js';
import type { ControllerParts } from './controller-parts.js';
import type { Work } from './work.js';

export interface Gates {
  readonly auth: Auth;
  readonly door: Door;
  readonly reach: FleetReach;
  /** What one port needs for TLS; undefined = plain text. */
  tlsOf(port: 'http' | 'grpc'): ServerTls | undefined;
  /** What is less secure than it could be, for people; empty = nothing. */
  warnings(): readonly string[];
  /** The files of TLS are no longer watched. */
  stop(): void;
  /** Writes what is left of the audit log; after the last request. */
  close(): Promise<void>;
}

export interface GatesDeps {
  readonly config: ControllerConfig;
  readonly parts: Pick<ControllerParts, 'fleet' | 'queue' | 'drains' | 'links' | 'controllerEvents'>;
  readonly work: Pick<Work, 'tasks' | 'jobs'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly isBusy: IsBusy;
}

/** A connection that waits costs an open file and a few KB: ten thousand may, by default. */
const WAITING_FACTOR = 5;

/** @throws the system's error, or the error of a certificate, if a file cannot be used */
export async function openGates(deps: GatesDeps): Promise<Gates> {
  const { config, parts, work, clock, logger } = deps;
  const { fleet, queue, drains, links, controllerEvents } = parts;
  const reach = createReach({ fleet, queue, drains, work });
  const door = createDoor(
    // Its pace is that of the process, whatever time it is.
    { clock: systemClock, random: deps.random, isBusy: deps.isBusy },
    {
      perSecond: config.limits.strangers_per_second,
      chargeCalls: requiresAuth(config),
      maxStrangers: config.limits.stranger_connections,
      maxWaiting: config.limits.stranger_connections * WAITING_FACTOR,
    },
  );
  const tlsFiles =
    hasTls(config, 'http') || hasTls(config, 'grpc')
      ? await openTlsFiles(
          {
            certFile: config.tls.cert_file,
            keyFile: config.tls.key_file,
            clientCaFile: config.tls.client_ca_file,
            reloadMs: config.tls.reload,
          },
          { clock, logger: logger.child({ part: 'tls' }) },
        )
      : undefined;
  const clientCertificates = config.tls.client_certificates;
  const tls: ServerTls | undefined =
    tlsFiles === undefined
      ? undefined
      : {
          files: tlsFiles,
          clientCertificates,
          trust: createClientTrust({ files: tlsFiles, clock }, { clientCertificates }),
        };
  const auth = await openAuth({
    door,
    dataDirectory: config.data_dir,
    config: config.auth,
    required: requiresAuth(config),
    pools: config.pools,
    clock,
    logger: logger.child({ part: 'auth' }),
    vm: reach.knownVm,
    reach,
    limits: config.limits,
    certificateOf: (socket) => tls?.trust.certificateOf(socket),
    loginFlags:
      tlsFiles === undefined || !hasTls(config, 'http')
        ? ''
        : loginFlags(tlsFiles.current, { port: config.http.port, clientCaFile: config.tls.client_ca_file }),
    countVms: reach.countVms,
    absent: reach.absent,
    onClaimRefused(vmId, bootId, address) {
      const vm = fleet.get(vmId)?.record;
      if (vm !== undefined) void controllerEvents.enter(vm, 'vm_claim_refused', { boot_id: bootId, address });
    },
    cut(vmId, message) {
      links.get(vmId)?.close({ kind: 'released', message });
      work.tasks.cut(vmId);
    },
  }).catch((error: unknown) => {
    tlsFiles?.stop();
    throw error;
  });
  const exposed = exposures(config);
  for (const exposure of exposed) logger.warn({ event: 'insecure' }, exposure);
  for (const warning of await joinWarnings(config)) logger.warn({ event: 'useless_config' }, warning);
  return {
    auth,
    door,
    reach,
    tlsOf: (port) => (hasTls(config, port) ? tls : undefined),
    warnings: () => [...exposed, ...(tlsFiles?.warnings() ?? []), ...auth.warnings()],
    stop: () => tlsFiles?.stop(),
    close: () => auth.close(),
  };
}
