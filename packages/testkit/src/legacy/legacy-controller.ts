/**
 * A controller that was written before this project: HTTP for the announcement, one stream per VM, commands pushed by hand.
 * It knows the original contract and nothing of ours.
 */
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { loadLegacyService, type LegacyMessage } from './contract.js';

export interface LegacyController {
  /** `http://127.0.0.1:PORT`. */
  readonly httpEndpoint: string;
  /** `127.0.0.1:PORT`. */
  readonly grpcEndpoint: string;
  /** Bodies of the events that came by HTTP. */
  readonly announcements: readonly LegacyMessage[];
  /** What MIGlets sent on their streams, in order. */
  readonly received: readonly LegacyMessage[];
  /** How many streams were opened. */
  readonly streams: number;
  /** Sends a command on the newest stream. */
  command(command: LegacyMessage): void;
  /** Ends every stream, as a restart does. */
  dropStreams(): void;
  close(): Promise<void>;
}

type Stream = ServerDuplexStream<LegacyMessage, LegacyMessage>;

export async function startLegacyController(): Promise<LegacyController> {
  const announcements: LegacyMessage[] = [];
  const received: LegacyMessage[] = [];
  const streams: Stream[] = [];

  const grpc = new Server();
  grpc.addService(loadLegacyService().service, {
    StreamCommands(stream: Stream) {
      streams.push(stream);
      stream.on('data', (message: LegacyMessage) => {
        received.push(message);
        if (message['connect']) {
          stream.write({ connect_ack: { accepted: true, message: 'hello', server_version: 'legacy-1' } });
        }
      });
      stream.on('end', () => stream.end());
      stream.on('error', () => undefined);
    },
  });
  const grpcPort = await new Promise<number>((resolve, reject) => {
    grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });

  const http: HttpServer = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      announcements.push(JSON.parse(body) as LegacyMessage);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ status: 'acknowledged', acknowledged: true, message: 'ok' }));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));

  return {
    httpEndpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    grpcEndpoint: `127.0.0.1:${grpcPort}`,
    announcements,
    received,
    get streams() {
      return streams.length;
    },
    command: (command) => void streams.at(-1)?.write({ command }),
    dropStreams() {
      for (const stream of streams) stream.end();
    },
    async close() {
      grpc.forceShutdown();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
