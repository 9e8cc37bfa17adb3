/** One run of migctl against one controller. */
import { createClient, type Client } from './api/client.js';
import { createHttp } from './api/http.js';
import { resolveConnection, type Connection } from './access/connection.js';
import type { Io } from './io.js';
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
  /** For stdout. */
  readonly colours: Colours;
}

/** Opens nothing: the first request does. @throws UsageError if the address of the controller is none */
export function createSession(io: Io, options: GlobalOptions): Session {
  const connection = resolveConnection(options, io.env);
  const { server, token } = connection;
  const { clock, random, interrupted } = io;
  const fetch = secureFetch(io.fetch, connection.tls);
  const http = createHttp({ fetch, server, requestTimeoutMs: options.requestTimeout, interrupted, token });
  return {
    io,
    server,
    connection,
    serverFlag: options.server === undefined ? '' : ` --server ${server}`,
    client: createClient({ http, clock, random, interrupted, contact: { lastAnswerMs: undefined } }),
    colours: createColours(io.env, io.stdout),
  };
}
