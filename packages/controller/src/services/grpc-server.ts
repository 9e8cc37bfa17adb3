/** The gRPC server: the command service, health (grpc.health.v1) and reflection. */
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { createServer, type Server } from 'nice-grpc';
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';
import type { Logger } from '@mig/common/logger';
import { COMMAND_SERVICE_NAME, MAX_MESSAGE_BYTES, descriptorSet } from '@mig/common/wire/command-service';
import { grpcCredentials, type ServerTls } from '../auth/tls/servers.js';
import type { Door } from '../door/door.js';
import { findServer } from '../door/find-server.js';
import { createCallGate, type CallGateDeps } from './call-gate.js';
import { createCommandService, type CommandServiceDeps } from './command-service.js';
import { forgiving, refuseMalformed } from './malformed-requests.js';
import { measuredDefinition } from './measured.js';
import { createFailureLog } from './middleware/log-failures.js';

export interface GrpcServer {
  /** @returns the port that is listened on; rejects with the system's error if it cannot be had */
  listen(host: string, port: number): Promise<number>;
  /** Refuses new connections, and resolves when all streams have ended; at the deadline they are cut. */
  stop(deadlineMs: number): Promise<void>;
}

/** Calls on one connection; a MIGlet has one. */
const MAX_STREAMS = 100;
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

const { check, watch } = HealthDefinition.methods;
const requestType = { ...check.requestType, decode: forgiving(check.requestType.decode) };
const healthDefinition = {
  ...HealthDefinition,
  methods: { check: { ...check, requestType }, watch: { ...watch, requestType } },
} as typeof HealthDefinition;
const { serverReflectionInfo } = ServerReflectionService;
const reflectionDefinition: typeof ServerReflectionService = {
  ...ServerReflectionService,
  serverReflectionInfo: {
    ...serverReflectionInfo,
    requestDeserialize: forgiving(serverReflectionInfo.requestDeserialize),
  },
};

export function createGrpcServer(
  deps: CommandServiceDeps &
    CallGateDeps & {
      readonly logger: Logger;
      readonly tls: ServerTls | undefined;
      readonly door: Pick<Door, 'guard'>;
    },
): GrpcServer {
  // The library writes to standard error by itself; what it would say there reaches us as errors.
  setLogVerbosity(logVerbosity.NONE);
  const health = HealthState();
  const setHealth = (status: 'healthy' | 'unhealthy'): void => {
    for (const service of ['', COMMAND_SERVICE_NAME]) health.setStatus(status, service);
  };
  setHealth('healthy');
  deps.stopping.addEventListener('abort', () => setHealth('unhealthy'), { once: true });
  const server: Server = createServer({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    // A MIGlet whose machine vanished is noticed within 30 s, also if the network says nothing.
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.enable_channelz': 0,
    'grpc.max_concurrent_streams': MAX_STREAMS,
  })
    .use(createCallGate(deps))
    .use(createFailureLog(deps.logger));
  server.add(measuredDefinition, createCommandService(deps));
  const library = server.with(refuseMalformed);
  library.add(healthDefinition, HealthServiceImpl(health));
  library.add(reflectionDefinition, ServerReflection(descriptorSet(), [COMMAND_SERVICE_NAME]));
  return {
    async listen(host, port) {
      const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      const bound = await server.listen(address, grpcCredentials(deps.tls));
      deps.door.guard(await findServer(host, bound));
      return bound;
    },
    async stop(deadlineMs) {
      const timer = setTimeout(() => server.forceShutdown(), deadlineMs);
      await server.shutdown();
      clearTimeout(timer);
    },
  };
}
