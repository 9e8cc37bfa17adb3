/** The gRPC server: commands, tasks, nodes, health (grpc.health.v1) and reflection. */
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
import { NODE_AGENT_SERVICE_NAME, nodeAgentServiceDefinition } from '@mig/common/wire/node-agent-service';
import { TASK_SERVICE_NAME, taskServiceDefinition } from '@mig/common/wire/task-service';
import type { ServerTls } from '../auth/tls/servers.js';
import type { Door } from '../door/door.js';
import type { OpenCall } from '../grpc/call.js';
import { createHttp2GrpcServer } from '../grpc/http2-server.js';
import { serveImplementation } from '../grpc/serve-implementation.js';
import { createCallGate, type CallGateDeps } from './call-gate.js';
import { createCommandService, type CommandServiceDeps } from './command-service.js';
import { createFailureLog, logFailures } from './middleware/log-failures.js';
import { createNodeAgentService, type NodeAgentServiceDeps } from './node-agent-service.js';
import { createTaskService, type TaskServiceDeps } from './task-service.js';

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

const SERVICES = [COMMAND_SERVICE_NAME, TASK_SERVICE_NAME, NODE_AGENT_SERVICE_NAME];

export interface GrpcServerDeps
  extends Omit<CommandServiceDeps, 'failures'>, TaskServiceDeps, NodeAgentServiceDeps, CallGateDeps {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly tls: ServerTls | undefined;
  readonly limits: CommandServiceDeps['limits'] & CallGateDeps['limits'];
  readonly door: CommandServiceDeps['door'] & CallGateDeps['door'] & Pick<Door, 'guard'>;
}

export function createGrpcServer(deps: GrpcServerDeps): GrpcServer {
  const health = HealthState();
  const setHealth = (status: 'healthy' | 'unhealthy'): void => {
    for (const service of ['', ...SERVICES]) health.setStatus(status, service);
  };
  setHealth('healthy');
  deps.stopping.addEventListener('abort', () => setHealth('unhealthy'), { once: true });
  const failures = createFailureLog(deps.logger, deps.clock);
  const middleware = logFailures(failures);
  const server = createHttp2GrpcServer(
    new Map<string, OpenCall>([
      [commandServiceDefinition.streamCommands.path, createCommandService({ ...deps, failures })],
      ...serveImplementation(taskServiceDefinition, createTaskService(deps), middleware),
      ...serveImplementation(nodeAgentServiceDefinition, createNodeAgentService(deps), middleware),
      ...serveImplementation(HealthDefinition, HealthServiceImpl(health), middleware),
      ...serveImplementation(
        ServerReflectionService,
        ServerReflection(descriptorSet(), SERVICES),
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
      gate: createCallGate(deps, (path) => path.startsWith(`/${NODE_AGENT_SERVICE_NAME}/`)),
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
