/** HTTP of the load: announcements of VMs, each on a connection of its own, and requests of an operator on one that is kept. */
import http from 'node:http';
import https from 'node:https';

export interface HttpCaller {
  /** @throws Error if the answer is not 2xx */
  post(route: string, body: unknown): Promise<Record<string, unknown>>;
  close(): void;
}

export interface HttpCallerOptions {
  /** `http://127.0.0.1:PORT`, or https. */
  readonly endpoint: string;
  readonly ca?: string | undefined;
  /** Sent as `authorization: Bearer …`. */
  readonly token?: string | undefined;
  /** One connection for all requests; otherwise one for each. */
  readonly keepsConnection: boolean;
}

export function createHttpCaller(options: HttpCallerOptions): HttpCaller {
  const { request, Agent } = options.endpoint.startsWith('https:') ? https : http;
  const agent = new Agent({ keepAlive: options.keepsConnection, maxSockets: options.keepsConnection ? 1 : Infinity });
  return {
    post: (route, body) =>
      new Promise((resolve, reject) => {
        const text = JSON.stringify(body);
        const call = request(
          `${options.endpoint}${route}`,
          {
            method: 'POST',
            agent,
            ...(options.ca === undefined ? {} : { ca: options.ca }),
            headers: {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(text),
              ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
            },
          },
          (response) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.once('error', reject);
            response.once('end', () => {
              const answer = Buffer.concat(chunks).toString();
              const { statusCode = 0 } = response;
              if (statusCode >= 200 && statusCode < 300) resolve(JSON.parse(answer) as Record<string, unknown>);
              else reject(new Error(`POST ${route} was answered with ${statusCode}: ${answer.slice(0, 300)}`));
            });
          },
        );
        call.once('error', reject);
        call.end(text);
      }),
    close: () => agent.destroy(),
  };
}
