/** A token that goes over plain HTTP to another machine can be read by whoever is on the way: the person is told. */
import { isIPv4 } from 'node:net';

/** The warning; undefined = nobody else can listen. @param server as `resolveServer` writes it */
export function plainHttpWarning(server: string): string | undefined {
  const { protocol, hostname } = new URL(server);
  if (protocol !== 'http:' || isLoopback(hostname)) return undefined;
  return `the token goes to ${server} without TLS: whoever is on the way can read and use it. Use https://, or --insecure to hear this no more`;
}

/** Calls `warn` before the first request. */
export function warnOnce(fetch: typeof globalThis.fetch, warn: () => void): typeof globalThis.fetch {
  let isWarned = false;
  return (input, init) => {
    if (!isWarned) warn();
    isWarned = true;
    return fetch(input, init);
  };
}

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'));
