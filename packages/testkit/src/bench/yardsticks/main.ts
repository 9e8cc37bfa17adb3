/**
 * A bare server as a process: KIND ACKS [CERT_FILE KEY_FILE]. KIND is `nice-grpc`, `grpc-js` or `http2`; ACKS is `acks`, or
 * `quiet`: heartbeats are not acknowledged. It says where it listens as the controller does.
 */
import { readFileSync } from 'node:fs';
import { createConversation, type Conversation } from './conversation.js';
import { listenWithGrpcJs } from './grpc-js.js';
import { listenWithHttp } from './http-side.js';
import type { KeyPair } from './key-pair.js';
import { listenWithNiceGrpc } from './nice-grpc.js';
import { listenWithHttp2 } from './raw-http2.js';

type Listen = (host: string, conversation: Conversation, tls: KeyPair | undefined) => Promise<number>;

const HOST = '127.0.0.1';
const LISTENERS: Readonly<Record<string, Listen>> = {
  'nice-grpc': listenWithNiceGrpc,
  'grpc-js': listenWithGrpcJs,
  http2: listenWithHttp2,
};

const [kind = '', acks, certFile = '', keyFile = ''] = process.argv.slice(2);
const listen = LISTENERS[kind];
if (listen === undefined)
  throw new Error(`there is no yardstick "${kind}": use ${Object.keys(LISTENERS).join(', ')}`);
const tls = certFile === '' ? undefined : { cert: readFileSync(certFile), key: readFileSync(keyFile) };
const conversation = createConversation({ quiet: acks === 'quiet' });
const grpcPort = await listen(HOST, conversation, tls);
const httpPort = await listenWithHttp(HOST, conversation, tls);
const http = `${tls === undefined ? 'http' : 'https'}://${HOST}:${httpPort}`;
process.stdout.write(`${JSON.stringify({ event: 'listening', http, grpc: `${HOST}:${grpcPort}` })}\n`);
