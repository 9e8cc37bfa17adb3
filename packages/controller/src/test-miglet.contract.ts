/** A MIGlet for tests: a bare gRPC stream on which bytes go out as the test says, and everything that comes in is kept. */
import { Client, Metadata, credentials, type ClientDuplexStream, type StatusObject } from '@grpc/grpc-js';
import type {
  CommandMessage,
  ConnectRequest,
  ControllerMessage,
  MigletMessage,
} from '@mig/common/domain/messages';
import { commandServiceDefinition } from '@mig/common/wire/command-service';
import { decodeControllerMessage } from '@mig/common/wire/controller-message';
import { encodeMigletMessage } from '@mig/common/wire/miglet-message';
import { until } from '@mig/testkit/github/until';
import { connectRequest } from './parts.contract.js';

export interface TestMiglet {
  readonly received: ControllerMessage[];
  /** The commands among them. */
  commands(): CommandMessage[];
  send(message: MigletMessage): void;
  sendBytes(bytes: Uint8Array): void;
  /** Ends this side's half of the stream. */
  finish(): void;
  /** Reads nothing any more, until `resume`. */
  pause(): void;
  resume(): void;
  /** How the stream ended: gRPC status and its text. */
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
  /** What came with the status. */
  readonly trailer: Promise<Metadata>;
  /** Resolves with the first message of the kind, sooner or later. */
  next<K extends ControllerMessage['kind']>(kind: K): Promise<Extract<ControllerMessage, { kind: K }>>;
  close(): void;
}

/** Opens a stream and says nothing. */
export function openStream(grpcPort: number, metadata = new Metadata()): TestMiglet {
  const client = new Client(`127.0.0.1:${grpcPort}`, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
  });
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    commandServiceDefinition.streamCommands.path,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    metadata,
  );
  const received: ControllerMessage[] = [];
  call.on('data', (bytes: Buffer) => received.push(decodeControllerMessage(bytes)));
  call.on('error', () => undefined); // `ended` tells it
  const ended = new Promise<StatusObject>((resolve) => call.on('status', resolve));
  return {
    received,
    commands: () => received.flatMap((message) => (message.kind === 'command' ? [message.command] : [])),
    send: (message) => void call.write(Buffer.from(encodeMigletMessage(message))),
    sendBytes: (bytes) => void call.write(Buffer.from(bytes)),
    finish: () => void call.end(),
    pause: () => void call.pause(),
    resume: () => void call.resume(),
    ended: ended.then(({ code, details }) => ({ code, details })),
    trailer: ended.then(({ metadata: trailer }) => trailer),
    next: (kind) =>
      until(`a message of kind ${kind}`, () => {
        const found = received.find((message) => message.kind === kind);
        return found as Extract<ControllerMessage, { kind: typeof kind }> | undefined;
      }),
    close() {
      call.cancel();
      client.close();
    },
  };
}

/** Opens a stream, connects, and waits until that is acknowledged. */
export async function connectMiglet(
  grpcPort: number,
  request: Partial<ConnectRequest> = {},
): Promise<TestMiglet> {
  const miglet = openStream(grpcPort);
  miglet.send({ kind: 'connect', request: connectRequest(request) });
  await miglet.next('connectAck');
  return miglet;
}
