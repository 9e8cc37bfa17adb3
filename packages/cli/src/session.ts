/** One run of migctl against one controller. */
import { createClient, type Client } from './api/client.js';
import { createHttp } from './api/http.js';
import { resolveConnection, type Connection } from './access/connection.js';
import type { Io } from './io.js';
import { plainHttpWarning, warnOnce } from './access/plain-http.js';
import { secureFetch } from './access/secure-fetch.js';
import { createColours, type Colours } from './output/colour.js';

/** The options that every command takes. */
export interface GlobalOptions {
  readonly server?: string;
  readonly context?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly insecure?: boolean;
  /** Milliseconds. */
  readonly requestTimeout: number;
}

export interface Session {
  readonly io: Io;
  /** The address of the controller. */
  readonly server: string;
  readonly connection: Connection;
  /** ` --server URL` if it was given: what a hint must repeat to lead to the same controller. */
  readonly serverFlag: string;
  readonly client: Client;
  /** One more client, with its own limits. */
  clientWith(options: { readonly interrupted: AbortSignal; readonly requestTimeoutMs: number }): Client;
  /** A request of any kind to the controller, with the credential. */
  readonly fetch: typeof globalThis.fetch;
  /** For stdout. */
  readonly colours: Colours;
}

/** Opens nothing: the first request does. @throws UsageError if the address of the controller is none */
export function createSession(io: Io, options: GlobalOptions): Session {
  const connection = resolveConnection(options, io.env);
  const { server, token } = connection;
  const { clock, random, interrupted } = io;
  const warning =
    token === undefined || connection.insecure ? undefined : plainHttpWarning(connection.server);
  const secure = secureFetch(io.fetch, connection.tls);
  const fetch =
    warning === undefined ? secure : warnOnce(secure, () => io.stderr.write(`warning: ${warning}\n`));
  const clientWith: Session['clientWith'] = (limits) => {
    const http = createHttp({ fetch, server, token, ...limits });
    const contact = { lastAnswerMs: undefined };
    return createClient({ http, clock, random, interrupted: limits.interrupted, contact });
  };
  return {
    io,
    server,
    connection,
    serverFlag: options.server === undefined ? '' : ` --server ${server}`,
    client: clientWith({ interrupted, requestTimeoutMs: options.requestTimeout }),
    clientWith,
    fetch: (input, init) => {
      const headers = new Headers(init?.headers);
      if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
      return fetch(input, { ...init, headers: Object.fromEntries(headers) });
    },
    colours: createColours(io.env, io.stdout),
  };
}
