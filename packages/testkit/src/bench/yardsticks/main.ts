/** A bare server as a process: `nice-grpc`, `grpc-js` or `http2`, and `quiet` after it. Says where it listens, as the controller does. */
import { createConversation, type Conversation } from './conversation.js';
import { listenWithGrpcJs } from './grpc-js.js';
import { listenWithHttp } from './http-side.js';
import { listenWithNiceGrpc } from './nice-grpc.js';
import { listenWithHttp2 } from './raw-http2.js';

const HOST = '127.0.0.1';
const LISTENERS: Readonly<Record<string, (host: string, conversation: Conversation) => Promise<number>>> = {
  'nice-grpc': listenWithNiceGrpc,
  'grpc-js': listenWithGrpcJs,
  http2: listenWithHttp2,
};

const [kind = '', quiet] = process.argv.slice(2);
const listen = LISTENERS[kind];
if (listen === undefined)
  throw new Error(`there is no yardstick "${kind}": use ${Object.keys(LISTENERS).join(', ')}`);
const conversation = createConversation({ quiet: quiet === 'quiet' });
const grpcPort = await listen(HOST, conversation);
const httpPort = await listenWithHttp(HOST, conversation);
process.stdout.write(
  `${JSON.stringify({ event: 'listening', http: `http://${HOST}:${httpPort}`, grpc: `${HOST}:${grpcPort}` })}\n`,
);
