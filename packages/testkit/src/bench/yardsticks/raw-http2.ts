/** A bare server of node:http2 that sends every message back as it came: it finds where each ends, and knows no more of gRPC. */
import { createSecureServer, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createMessageReader } from '../wire/frame-reader.js';
import type { Conversation } from './conversation.js';
import type { KeyPair } from './key-pair.js';

const PREFIX_BYTES = 5;

/** Resolves to its port. */
export async function listenWithHttp2(
  host: string,
  _conversation: Conversation,
  tls: KeyPair | undefined,
): Promise<number> {
  const server = tls === undefined ? createServer() : createSecureServer(tls);
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    const read = createMessageReader((bytes, start, end) => {
      stream.write(Buffer.from(bytes.subarray(start - PREFIX_BYTES, end)));
    });
    stream.on('data', (chunk: Buffer) => read(chunk, 0, chunk.length));
    stream.on('error', () => undefined);
    stream.on('end', () => stream.end());
  });
  server.on('sessionError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as AddressInfo).port;
}
