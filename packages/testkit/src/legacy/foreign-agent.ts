/** An agent that was written from the original contract alone, with grpc-js and proto-loader: it shares no code with this project. */
import { fileURLToPath } from 'node:url';
import {
  Metadata,
  credentials,
  loadPackageDefinition,
  type ClientDuplexStream,
  type GrpcObject,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { LegacyMessage } from './contract.js';

const LOADING = { keepCase: true, longs: Number, enums: String, oneofs: true, defaults: true };

/** The services of a contract in `legacy/`. @param path where they are: package, then service */
export function loadForeignService(file: string, ...path: string[]): ServiceClientConstructor {
  const contract = fileURLToPath(new URL(`../../legacy/${file}`, import.meta.url));
  const loaded: unknown = path.reduce<unknown>(
    (found, name) => (found as GrpcObject)[name],
    loadPackageDefinition(loadSync(contract, LOADING)),
  );
  return loaded as ServiceClientConstructor;
}

export interface ForeignAgent {
  /** What the controller sent, in order. */
  readonly received: readonly LegacyMessage[];
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
  /** @returns false when the stream has no room now */
  send(response: LegacyMessage): boolean;
  /** Resolves when the stream has room again. */
  drained(): Promise<void>;
  close(): void;
}

/**
 * @param endpoint HOST:PORT of the controller
 * @param token left out if undefined
 * @param contract in `legacy/`; the project's own, which has the Docker operations, is `../../../proto/tasks.proto`
 */
export function connectForeignAgent(
  endpoint: string,
  agentId: string,
  token?: string,
  contract = 'tasks.proto',
): ForeignAgent {
  const Service = loadForeignService(contract, 'miglet', 'tasks', 'TaskService');
  const client = new Service(endpoint, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('agent_id', agentId);
  if (token !== undefined) metadata.set('agent_token', token);
  const open = client['StreamTasks']?.bind(client) as unknown as (
    metadata: Metadata,
  ) => ClientDuplexStream<LegacyMessage, LegacyMessage>;
  const stream = open(metadata);
  const received: LegacyMessage[] = [];
  stream.on('data', (message: LegacyMessage) => received.push(message));
  stream.on('error', () => undefined);
  const ended = new Promise<{ code: number; details: string }>((resolve) => {
    stream.on('status', (status: { code: number; details: string }) => resolve(status));
  });
  void ended.then(() => client.close());
  return {
    received,
    ended,
    send: (response) => stream.write(response),
    drained: () => new Promise((resolve) => stream.once('drain', resolve)),
    close: () => stream.cancel(),
  };
}
