/** How requests go out to GitHub: directly, or by way of a proxy. */
import { EnvHttpProxyAgent, fetch as undiciFetch } from 'undici';

/** As much of a fetch as is needed here: every version of undici's has it. */
export type Fetch = (
  url: string,
  init: {
    readonly method: string;
    readonly headers: Record<string, string>;
    readonly body?: string;
    readonly redirect: 'follow';
    readonly signal: AbortSignal;
  },
) => Promise<{
  readonly status: number;
  readonly headers: Iterable<[string, string]> & { get(name: string): string | null };
  arrayBuffer(): Promise<ArrayBuffer>;
}>;

/** As programs commonly take them from the environment: HTTP_PROXY, HTTPS_PROXY, NO_PROXY. Empty = none. */
export interface ProxySettings {
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
}

/** @param env the environment of the process; names in lower case count before those in capitals */
export function proxySettingsOf(env: Readonly<Record<string, string | undefined>>): ProxySettings {
  const named = (name: string): string => env[name] || env[name.toUpperCase()] || '';
  return {
    httpProxy: named('http_proxy'),
    httpsProxy: named('https_proxy'),
    noProxy: named('no_proxy'),
  };
}

/** The fetch for these settings; undefined if no proxy is named. */
export function createProxiedFetch(proxy: ProxySettings): Fetch | undefined {
  if (proxy.httpProxy === '' && proxy.httpsProxy === '') return undefined;
  const dispatcher = new EnvHttpProxyAgent({ ...proxy });
  // The dispatcher is of this version of undici, which the global fetch need not be.
  return (url, init) => undiciFetch(url, { ...init, dispatcher });
}
