/** A header block of HPACK (RFC 7541) without Huffman codes and without the dynamic table: the same bytes on every connection. */

/** Indexes in the static table, appendix A. */
const STATIC = {
  authority: 1,
  methodPost: 3,
  path: 4,
  schemeHttp: 6,
  schemeHttps: 7,
  authorization: 23,
  contentType: 31,
};
const INDEXED = 0x80;
const NEVER_INDEXED = 0x10;

export interface RequestHead {
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly path: string;
  /** Sent as `authorization: Bearer …`. Default: none. */
  readonly token?: string | undefined;
}

/** The head of a gRPC request. */
export function headerBlock({ scheme, authority, path, token }: RequestHead): Buffer {
  return Buffer.concat([
    Buffer.of(INDEXED | STATIC.methodPost),
    Buffer.of(INDEXED | (scheme === 'http' ? STATIC.schemeHttp : STATIC.schemeHttps)),
    literal(integer(STATIC.authority, 4, 0), authority),
    literal(integer(STATIC.path, 4, 0), path),
    literal(integer(STATIC.contentType, 4, 0), 'application/grpc'),
    literal(Buffer.concat([Buffer.of(0), text('te')]), 'trailers'),
    ...(token === undefined
      ? []
      : [literal(integer(STATIC.authorization, 4, NEVER_INDEXED), `Bearer ${token}`)]),
  ]);
}

const literal = (name: Uint8Array, value: string): Buffer => Buffer.concat([name, text(value)]);

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, 7, 0), bytes]);
}

/** An integer behind a prefix of so many bits (RFC 7541, 5.1). */
export function integer(value: number, prefixBits: number, pattern: number): Buffer {
  const limit = 2 ** prefixBits - 1;
  if (value < limit) return Buffer.of(pattern | value);
  const bytes = [pattern | limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
