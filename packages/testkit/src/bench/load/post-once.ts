/**
 * One HTTP request on a connection of its own, as a VM makes that announces itself. By hand: Node's own client takes as much of
 * a core as a bare server that answers it.
 */
import net from 'node:net';
import tls from 'node:tls';

export interface PostOnceOptions {
  /** `http://127.0.0.1:PORT`, or https. */
  readonly endpoint: URL;
  readonly ca?: string | undefined;
  /** Sent as `authorization: Bearer …`. */
  readonly token?: string | undefined;
}

/** Resolves to the answer's body. @throws Error if the answer is not 2xx, or not whole */
export function postOnce(
  { endpoint, ca, token }: PostOnceOptions,
  route: string,
  body: unknown,
): Promise<Record<string, unknown>> {
  const text = JSON.stringify(body);
  const head = [
    `POST ${route} HTTP/1.1`,
    `host: ${endpoint.host}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    'connection: close',
  ].join('\r\n');
  return new Promise((resolve, reject) => {
    const place = { host: endpoint.hostname, port: Number(endpoint.port) };
    const socket = ca === undefined ? net.connect(place) : tls.connect({ ...place, ca });
    let answer = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => (answer += chunk));
    socket.once('error', reject);
    socket.once('close', () => {
      try {
        resolve(parseAnswer(answer));
      } catch (error) {
        reject(
          new Error(`POST ${route} was answered with ${JSON.stringify(answer.slice(0, 500))}`, {
            cause: error,
          }),
        );
      }
    });
    socket.write(`${head}\r\n\r\n${text}`);
  });
}

/** @throws Error if it is no whole answer of 2xx with JSON */
export function parseAnswer(answer: string): Record<string, unknown> {
  if (!/^HTTP\/1\.1 2\d\d /.test(answer)) throw new Error('not 2xx');
  const bodyAt = answer.indexOf('\r\n\r\n');
  if (bodyAt < 0) throw new Error('not whole');
  return JSON.parse(answer.slice(bodyAt + 4)) as Record<string, unknown>;
}
