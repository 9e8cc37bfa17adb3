/** As much of a controller as one MIGlet needs to come to rest: it hears the announcement, registers the runner, and notes when. */
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'nice-grpc';
import type { ControllerMessage, MigletMessage } from '@mig/common/domain/messages';
import { VERSION } from '@mig/common/version';
import { commandServiceDefinition } from '@mig/common/wire/command-service';

export interface SmallController {
  /** `http://127.0.0.1:PORT`. */
  readonly endpoint: string;
  /** Resolves to the monotonic time of the next announcement, milliseconds. */
  announced(): Promise<number>;
  /** Resolves when the next heartbeat says that the runner waits for a job. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';

export async function startSmallController(): Promise<SmallController> {
  let onAnnounced: (atMs: number) => void = () => undefined;
  let onReady = (): void => undefined;
  const grpc = createServer();
  grpc.add(commandServiceDefinition, {
    async *streamCommands(incoming): AsyncGenerator<ControllerMessage> {
      for await (const message of incoming) {
        if (message.kind === 'heartbeat' && message.heartbeat.report.state === 'ready.idle') onReady();
        yield* answersTo(message);
      }
    },
  });
  const grpcPort = await grpc.listen(`${HOST}:0`);
  const http = createHttpServer((request, response) => {
    request.resume().on('end', () => {
      if (request.url?.endsWith('/events') === true) onAnnounced(performance.now());
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ acknowledged: true, grpc_endpoint: `${HOST}:${grpcPort}` }));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, HOST, resolve));
  return {
    endpoint: `http://${HOST}:${(http.address() as AddressInfo).port}`,
    announced: () => new Promise((resolve) => (onAnnounced = resolve)),
    ready: () => new Promise((resolve) => (onReady = resolve)),
    async close() {
      grpc.forceShutdown();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

function* answersTo(message: MigletMessage): Generator<ControllerMessage> {
  switch (message.kind) {
    case 'connect':
      yield {
        kind: 'connectAck',
        ack: {
          accepted: true,
          message: 'welcome',
          serverVersion: VERSION,
          sessionId: 'bench',
          lastEventSequence: 0,
          heartbeatIntervalMs: 0,
          announceAgain: false,
          reconnectWindowMs: 0,
        },
      };
      yield {
        kind: 'command',
        command: {
          id: `cmd-${Date.now()}`,
          type: 'register_runner',
          parameters: {
            registration_token: 'bench',
            runner_url: 'http://127.0.0.1/acme',
            runner_name: 'bench',
          },
          createdAt: Date.now(),
          startWithinMs: 0,
          attempt: 1,
        },
      };
      return;
    case 'event':
      yield { kind: 'eventAck', bootId: message.event.bootId, sequence: message.event.sequence };
      return;
    case 'ack':
      if (message.ack.phase === 'completed') yield { kind: 'resultAck', commandId: message.ack.commandId };
      return;
    case 'heartbeat':
    case 'deregister':
    case 'error':
    case 'unknown':
    case 'malformed':
  }
}
