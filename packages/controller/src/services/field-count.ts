/** How many fields a message has, known without decoding it: a small one can hold very many (protobuf.dev/programming-guides/encoding). */

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

/**
 * Are there more fields than that, in the message and in what it directly holds? Bytes that are no message have few: decoding them
 * ends at the fault.
 */
export function hasMoreFields(bytes: Uint8Array, limit: number): boolean {
  return countFields(bytes, 0, bytes.length, limit, 1) > limit;
}

/** Counts until there is a fault, or more than the limit. */
function countFields(bytes: Uint8Array, from: number, until: number, limit: number, depth: number): number {
  let count = 0;
  let at = from;
  /** -1 = there is none. */
  function varint(): number {
    let value = 0;
    for (let shift = 0; at < until && shift < 70; shift += 7) {
      const byte = bytes[at] ?? 0;
      at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return -1;
  }
  while (at < until && count <= limit) {
    const tag = varint();
    if (tag < 0) return count;
    count += 1;
    switch (tag % 8) {
      case VARINT:
        if (varint() < 0) return count;
        break;
      case FIXED_64:
        at += 8;
        break;
      case FIXED_32:
        at += 4;
        break;
      case LENGTH_DELIMITED: {
        const length = varint();
        if (length < 0 || at + length > until) return count;
        // A field has at least two bytes: shorter ones cannot bring the sum over the limit.
        if (depth > 0 && length > limit)
          count += countFields(bytes, at, at + length, limit - count, depth - 1);
        at += length;
        break;
      }
      default:
        return count;
    }
  }
  return count;
}
