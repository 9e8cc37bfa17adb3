/** Metadata, status and deadlines in the headers of HTTP/2, by "gRPC over HTTP2". */
import type { OutgoingHttpHeaders } from 'node:http2';
import { Metadata } from 'nice-grpc';

/** What the transport needs, and no metadata: not handed on. */
const RESERVED = new Set([
  'te',
  'content-type',
  'accept-encoding',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
]);

/** @param rawHeaders name, value, name, value: as Node hands them over, each occurrence by itself */
export function metadataOf(rawHeaders: readonly string[]): Metadata {
  const metadata = Metadata();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    const value = rawHeaders[index + 1] ?? '';
    if (name.startsWith(':') || RESERVED.has(name)) continue;
    try {
      // Several binary values of one name may come joined by commas.
      if (name.endsWith('-bin'))
        for (const one of value.split(',')) metadata.append(name, Buffer.from(one, 'base64'));
      else metadata.append(name, value);
    } catch {
      // A name or a value that gRPC does not allow: it is no metadata.
    }
  }
  return metadata;
}

/** Adds the metadata to headers that are about to be sent. */
export function addMetadata(headers: OutgoingHttpHeaders, metadata: Metadata): void {
  for (const [name, values] of metadata) {
    // What the transport says itself cannot be said by a service.
    if (RESERVED.has(name) || name === 'grpc-status' || name === 'grpc-message') continue;
    headers[name] = values.map((value) =>
      typeof value === 'string' ? value : Buffer.from(value).toString('base64').replace(/=+$/, ''),
    );
  }
}

export const isEmptyMetadata = (metadata: Metadata): boolean =>
  metadata[Symbol.iterator]().next().done === true;

/** A status text that is longer is cut: the headers that a client takes have a limit, often 8 KiB in all. */
const MAX_MESSAGE_LENGTH = 2_048;

/** A text as `grpc-message` may hold it: printable ASCII as it is, the bytes of all else as %XX. */
export function encodeMessage(text: string): string {
  const cut = text.length > MAX_MESSAGE_LENGTH ? `${text.slice(0, MAX_MESSAGE_LENGTH - 1)}…` : text;
  if (/^[ -$&-~]*$/.test(cut)) return cut;
  let encoded = '';
  for (const byte of Buffer.from(cut)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** Milliseconds, rounded up; undefined if the value is none that the contract has. */
export function parseTimeout(value: string): number | undefined {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? [];
  return digits === undefined || unit === undefined
    ? undefined
    : Math.ceil(Number(digits) * (UNIT_MS[unit] ?? 1));
}

/** Is it a content type of gRPC? `application/grpc`, with or without a `+` format or parameters. */
export const isGrpcContentType = (value: string | undefined): boolean =>
  value !== undefined && /^application\/grpc(?:[+;]|$)/i.test(value);
