/** Where a peer speaks from, in one form for HTTP and gRPC. */
import { isIP } from 'node:net';

/**
 * The address without its port, IPv4 in its own form also where it came in IPv6's; this machine is `local`, by whichever of
 * its loopback addresses it came.
 *
 * @param text as Node (`::ffff:10.0.0.7`) or gRPC (`10.0.0.7:4711`, `[::1]:4711`) says it; what is none stays as it is
 */
export function peerAddress(text: string): string {
  const bare = /^\[(.+)\]:\d+$/.exec(text)?.[1] ?? /^([^:]+):\d+$/.exec(text)?.[1] ?? text;
  const address = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare.replace(/%.*$/, '').toLowerCase();
  if (address === '::1' || (isIP(address) === 4 && address.startsWith('127.'))) return 'local';
  return address;
}
