/** Names and addresses that a certificate of a controller can have. */
import { isIP } from 'node:net';

const LABEL = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** A host name, also with `*.` before it, or an address; undefined if it is none. */
export function parseHost(text: string): string | undefined {
  const host = text.trim();
  if (isIP(host) !== 0) return host.includes('%') ? undefined : host;
  const labels = host.replace(/^\*\./, '').split('.');
  const isName = host.length <= 253 && labels.every((label) => LABEL.test(label));
  // What ends in a number is an address that is wrong (WHATWG URL).
  return isName && !/^\d+$/.test(labels.at(-1) ?? '') ? host : undefined;
}
