/** Where a peer speaks from, in one form for HTTP and gRPC. */

/** Where `localhost` leads, by IPv4. */
const LOCALHOST = '127.0.0.1';

/**
 * The address without its port, IPv4 in its own form also where it came in IPv6's.
 *
 * Each address counts for itself, also those of 127/8. Only `::1` is written as `127.0.0.1`: the name `localhost` means
 * both, and a MIGlet that announces itself over HTTP by the one may stream by the other. Who is at the one is at the other.
 *
 * @param text as Node (`::ffff:10.0.0.7`) or gRPC (`10.0.0.7:4711`, `[::1]:4711`) says it; what is none stays as it is
 */
export function peerAddress(text: string): string {
  const bare = /^\[(.+)\]:\d+$/.exec(text)?.[1] ?? /^([^:]+):\d+$/.exec(text)?.[1] ?? text;
  const address = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare.replace(/%.*$/, '').toLowerCase();
  return address === '::1' ? LOCALHOST : address;
}

/** The other end of a connection: `10.0.0.7:4711` or `[2001:db8::7]:4711`; `unknown` when it is gone. */
export function peerOf({
  remoteAddress: address,
  remotePort: port,
}: {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}): string {
  if (address === undefined) return 'unknown';
  return `${address.includes(':') ? `[${address}]` : address}:${port ?? 0}`;
}
