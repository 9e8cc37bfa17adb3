/** What a bare server has of HTTP: announcements are read and acknowledged, commands and drains go out. On node:http alone. */
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Conversation } from './conversation.js';
import type { KeyPair } from './key-pair.js';

/** Resolves to its port. */
export async function listenWithHttp(
  host: string,
  conversation: Conversation,
  tls: KeyPair | undefined,
): Promise<number> {
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
      const answer = JSON.stringify(answerTo(request.url ?? '', body));
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(answer),
      });
      response.end(answer);
    });
  };
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);

  function answerTo(route: string, body: Record<string, unknown>): Record<string, unknown> {
    const [, , , collection, vmId, of] = route.split('/');
    if (collection === 'drains') return { id: conversation.order('drain', undefined) };
    if (of === 'commands') return { id: conversation.order(String(body['type']), vmId) };
    return { status: 'acknowledged', acknowledged: true, vm_id: vmId, message: 'event is known' };
  }

  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as AddressInfo).port;
}
