/** A bare server of @grpc/grpc-js, as it comes. */
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { ControllerMessage, MIGletMessage } from '@mig/common/gen/commands';
import { commandServiceDefinition } from '@mig/common/wire/command-service';
import type { Conversation } from './conversation.js';
import type { KeyPair } from './key-pair.js';

/** Resolves to its port. */
export async function listenWithGrpcJs(
  host: string,
  conversation: Conversation,
  tls: KeyPair | undefined,
): Promise<number> {
  const server = new Server();
  server.addService(
    {
      streamCommands: {
        path: commandServiceDefinition.streamCommands.path,
        requestStream: true,
        responseStream: true,
        requestSerialize: (message: MIGletMessage) => Buffer.from(MIGletMessage.encode(message).finish()),
        requestDeserialize: (bytes: Buffer) => MIGletMessage.decode(bytes),
        responseSerialize: (message: ControllerMessage) =>
          Buffer.from(ControllerMessage.encode(message).finish()),
        responseDeserialize: (bytes: Buffer) => ControllerMessage.decode(bytes),
      },
    },
    {
      streamCommands(call: ServerDuplexStream<MIGletMessage, ControllerMessage>) {
        const peer = { push: (message: ControllerMessage) => void call.write(message) };
        call.on('data', (message: MIGletMessage) => conversation.take(message, peer));
        call.on('error', () => undefined);
        call.on('end', () => call.end());
      },
    },
  );
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }]);
  return new Promise((resolve, reject) =>
    server.bindAsync(`${host}:0`, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    }),
  );
}
