/** Which controller a command goes to, and with what credential. */
import { readFileSync } from 'node:fs';
import { errorMessage } from '@mig/common/errors';
import { DEFAULT_SERVER, resolveServer } from '../api/server-url.js';
import { UsageError } from '../errors.js';
import type { TlsFiles } from './secure-fetch.js';
import { readContexts, type Context, type Contexts } from './contexts.js';

export interface ConnectionOptions {
  readonly server?: string | undefined;
  readonly context?: string | undefined;
  /** `-` is standard input. */
  readonly tokenFile?: string | undefined;
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The token may go over plain HTTP without a word. */
  readonly insecure?: boolean | undefined;
}

export interface Connection {
  readonly server: string;
  readonly token: string | undefined;
  readonly tls: TlsFiles;
  /** As `ConnectionOptions.insecure`, or by the context. */
  readonly insecure: boolean;
  /** The context that it comes from; undefined = none. */
  readonly context: ({ readonly name: string } & Partial<Context>) | undefined;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The address: `--server`, else MIGCTL_SERVER, else that of the context, else http://127.0.0.1:8080. The token:
 * `--token-file`, else MIGCTL_TOKEN_FILE, else MIGCTL_TOKEN, else that of a context with this very address: a token is
 * never sent to another controller than the one that it is of.
 *
 * @throws UsageError, CliError
 */
export function resolveConnection(options: ConnectionOptions, env: Env): Connection {
  const named = options.context ?? env['MIGCTL_CONTEXT'];
  const isAddressed = options.server !== undefined || Boolean(env['MIGCTL_SERVER']);
  const given = givenToken(options.tokenFile, env);
  const { current, contexts } = knownContexts(env, named === undefined && isAddressed && given !== undefined);
  if (named !== undefined && !Object.hasOwn(contexts, named))
    throw new UsageError(`there is no context ${JSON.stringify(named)}`, 'see `migctl context list`');
  const wanted = named ?? current;
  const preferred = wanted === undefined ? undefined : contexts[wanted];
  const server = isAddressed ? resolveServer(options.server, env) : (preferred?.server ?? DEFAULT_SERVER);
  if (named !== undefined && preferred?.server !== server)
    throw new UsageError(
      `the context ${named} is of ${preferred?.server ?? 'nothing'}, not of ${server}`,
      'leave out --context, or the address',
    );
  const name =
    preferred?.server === server && wanted !== undefined
      ? wanted
      : Object.keys(contexts).find((key) => contexts[key]?.server === server);
  const context = name === undefined ? undefined : contexts[name];
  return {
    server,
    tls: tlsFiles(options, env, context),
    token: given ?? context?.token,
    insecure: options.insecure ?? context?.insecure ?? false,
    context: name === undefined || context === undefined ? undefined : { name, ...context },
  };
}

/** @param isOptional address and token are given: a file of contexts that cannot be used is in nobody's way */
function knownContexts(env: Env, isOptional: boolean): Contexts {
  try {
    return readContexts(env);
  } catch (error) {
    if (isOptional) return { contexts: {} };
    throw error;
  }
}

/** Of the flags, else of the environment, else of the context. A certificate without its own key file holds its key too. */
function tlsFiles(options: ConnectionOptions, env: Env, context: Context | undefined): TlsFiles {
  const cert_file = options.certFile ?? (env['MIGCTL_CERT_FILE'] || undefined) ?? context?.cert_file;
  return {
    ca_file: options.caFile ?? (env['MIGCTL_CA_FILE'] || undefined) ?? context?.ca_file,
    cert_file,
    key_file: options.keyFile ?? (env['MIGCTL_KEY_FILE'] || undefined) ?? context?.key_file ?? cert_file,
  };
}

/** The token of the flag or the environment. @throws UsageError if its file cannot be read or is empty */
export function givenToken(flag: string | undefined, env: Env): string | undefined {
  const file = flag ?? (env['MIGCTL_TOKEN_FILE'] || undefined);
  if (file === undefined) return env['MIGCTL_TOKEN'] || undefined;
  const source = flag === undefined ? 'MIGCTL_TOKEN_FILE' : '--token-file';
  let token: string;
  try {
    token = readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch (error) {
    throw new UsageError(`${source}: ${file} cannot be read (${errorMessage(error)})`);
  }
  if (!/^[\x21-\x7e]+$/.test(token)) throw new UsageError(`${source}: ${file} holds no token`);
  return token;
}
