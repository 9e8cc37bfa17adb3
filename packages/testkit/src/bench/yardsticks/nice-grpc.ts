/** A bare server of nice-grpc, as it comes: every option is the library's own. */
import { ServerCredentials } from '@grpc/grpc-js';
import { createServer } from 'nice-grpc';
import { CommandServiceDefinition, type ControllerMessage } from '@mig/common/gen/commands';
import type { Conversation } from './conversation.js';
import type { KeyPair } from './key-pair.js';

/** Resolves to its port. */
export async function listenWithNiceGrpc(
  host: string,
  conversation: Conversation,
  tls: KeyPair | undefined,
): Promise<number> {
  const server = createServer();
  server.add(CommandServiceDefinition, {
    streamCommands(incoming) {
      const outbox = createOutbox();
      void (async () => {
        for await (const message of incoming) conversation.take(message, outbox);
      })().then(outbox.end, outbox.end);
      return outbox;
    },
  });
  const credentials =
    tls && ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }]);
  return server.listen(`${host}:0`, credentials);
}

/** What is to be sent, as cheap as an async iterable can be. */
function createOutbox(): AsyncIterable<ControllerMessage> & {
  push(message: ControllerMessage): void;
  end(): void;
} {
  const waiting: ControllerMessage[] = [];
  let wake: ((result: IteratorResult<ControllerMessage>) => void) | undefined;
  let ended = false;
  return {
    push(message) {
      if (wake === undefined) waiting.push(message);
      else {
        const resolve = wake;
        wake = undefined;
        resolve({ done: false, value: message });
      }
    },
    end() {
      ended = true;
      wake?.({ done: true, value: undefined });
    },
    [Symbol.asyncIterator]: () => ({
      next() {
        const message = waiting.shift();
        if (message !== undefined) return Promise.resolve({ done: false, value: message });
        if (ended) return Promise.resolve({ done: true, value: undefined });
        return new Promise((resolve) => (wake = resolve));
      },
    }),
  };
}
