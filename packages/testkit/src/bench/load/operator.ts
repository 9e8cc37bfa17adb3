/** The operator of the load: requests over HTTP on one connection that is kept. */
import http from 'node:http';
import https from 'node:https';

export interface Operator {
  /** @throws Error if the answer is not 2xx */
  post(route: string, body: unknown): Promise<Record<string, unknown>>;
  close(): void;
}

export interface OperatorOptions {
  /** `http://127.0.0.1:PORT`, or https. */
  readonly endpoint: string;
  readonly ca?: string | undefined;
  /** Sent as `authorization: Bearer …`. */
  readonly token?: string | undefined;
}

export function createOperator({ endpoint, ca, token }: OperatorOptions): Operator {
  const { request, Agent } = endpoint.startsWith('https:') ? https : http;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    post: (route, body) =>
      new Promise((resolve, reject) => {
        const text = JSON.stringify(body);
        const headers = {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        };
        const call = request(
          `${endpoint}${route}`,
          { method: 'POST', agent, headers, ...(ca === undefined ? {} : { ca }) },
          (response) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.once('error', reject);
            response.once('end', () => {
              const answer = Buffer.concat(chunks).toString();
              const { statusCode = 0 } = response;
              if (statusCode >= 200 && statusCode < 300)
                resolve(JSON.parse(answer) as Record<string, unknown>);
              else
                reject(new Error(`POST ${route} was answered with ${statusCode}: ${answer.slice(0, 300)}`));
            });
          },
        );
        call.once('error', reject);
        call.end(text);
      }),
    close: () => agent.destroy(),
  };
}
