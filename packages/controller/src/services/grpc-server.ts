/** The gRPC server: the command service, health (grpc.health.v1) and reflection. */
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import {
  COMMAND_SERVICE_NAME,
  MAX_MESSAGE_BYTES,
  commandServiceDefinition,
  descriptorSet,
} from '@mig/common/wire/command-service';
import type { ServerTls } from '../auth/tls/servers.js';
import type { Door } from '../door/door.js';
import type { OpenCall } from '../grpc/call.js';
import { createHttp2GrpcServer } from '../grpc/http2-server.js';
import { serveImplementation } from '../grpc/serve-implementation.js';
import { createCallGate, type CallGateDeps } from './call-gate.js';
import { createCommandService, type CommandServiceDeps } from './command-service.js';
import { createFailureLog, logFailures } from './middleware/log-failures.js';

export interface GrpcServer {
  /** @returns the port that is listened on; rejects with the system's error if it cannot be had */
  listen(host: string, port: number): Promise<number>;
  /** Refuses new connections, and resolves when all streams have ended; at the deadline they are cut. */
  stop(deadlineMs: number): Promise<void>;
}

/** Calls on one connection; a MIGlet has one. */
const MAX_STREAMS = 100;
/** Names and values of one call's headers: 16 KiB. */
const MAX_HEADER_BYTES = 16 * 1024;
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

export function createGrpcServer(
  deps: Omit<CommandServiceDeps, 'failures'> &
    CallGateDeps & {
      readonly logger: Logger;
      readonly clock: Clock;
      readonly tls: ServerTls | undefined;
      readonly door: Pick<Door, 'guard'>;
    },
): GrpcServer {
  const health = HealthState();
  const setHealth = (status: 'healthy' | 'unhealthy'): void => {
    for (const service of ['', COMMAND_SERVICE_NAME]) health.setStatus(status, service);
  };
  setHealth('healthy');
  deps.stopping.addEventListener('abort', () => setHealth('unhealthy'), { once: true });
  const failures = createFailureLog(deps.logger, deps.clock);
  const middleware = logFailures(failures);
  const server = createHttp2GrpcServer(
    new Map<string, OpenCall>([
      [commandServiceDefinition.streamCommands.path, createCommandService({ ...deps, failures })],
      ...serveImplementation(HealthDefinition, HealthServiceImpl(health), middleware),
      ...serveImplementation(
        ServerReflectionService,
        ServerReflection(descriptorSet(), [COMMAND_SERVICE_NAME]),
        middleware,
      ),
    ]),
    {
      maxMessageBytes: MAX_MESSAGE_BYTES,
      maxStreams: MAX_STREAMS,
      maxHeaderBytes: MAX_HEADER_BYTES,
      // A MIGlet whose machine vanished is noticed within 30 s, also if the network says nothing.
      keepaliveMs: KEEPALIVE_MS,
      keepaliveTimeoutMs: KEEPALIVE_TIMEOUT_MS,
      tls: deps.tls,
      gate: createCallGate(deps),
    },
  );
  deps.door.guard(server.netServer);
  return {
    listen: server.listen,
    async stop(deadlineMs) {
      const timer = setTimeout(server.destroy, deadlineMs);
      await server.close();
      clearTimeout(timer);
    },
  };
}
