/** Messages that a client has compressed. We send none, and say which ways we read. */
import { gunzipSync, inflateSync } from 'node:zlib';

export const ACCEPTED_ENCODINGS = 'identity,deflate,gzip';

export type Decompressed =
  | { readonly kind: 'ok'; readonly bytes: Buffer }
  /** The encoding is not one of those accepted. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'tooLarge' }
  | { readonly kind: 'damaged' };

/**
 * Never throws. Of a message that comes to more than `maxBytes`, no more is made than that.
 *
 * @param encoding of the header `grpc-encoding`; undefined = none was named
 */
export function decompress(encoding: string | undefined, bytes: Uint8Array, maxBytes: number): Decompressed {
  const inflate = encoding === 'gzip' ? gunzipSync : encoding === 'deflate' ? inflateSync : undefined;
  if (inflate === undefined) {
    // "If a flag is set and no encoding is named, the message is damaged."
    return { kind: encoding === undefined || encoding === 'identity' ? 'damaged' : 'unknown' };
  }
  try {
    return { kind: 'ok', bytes: inflate(bytes, { maxOutputLength: maxBytes }) };
  } catch (error) {
    return {
      kind: (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'tooLarge' : 'damaged',
    };
  }
}
