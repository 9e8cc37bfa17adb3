/**
 * Frames of HTTP/2 (RFC 9113) as one client needs them that has one stream on its connection: written ahead as bytes, read in place.
 *
 * By hand, because thousands of simulated VMs share one core: Node's own client takes as much of it as the server under test.
 */

export const FRAME_HEADER_BYTES = 9;
export const FRAME = {
  data: 0x0,
  headers: 0x1,
  resetStream: 0x3,
  settings: 0x4,
  ping: 0x6,
  goAway: 0x7,
  windowUpdate: 0x8,
} as const;
export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8 } as const;

/** The flow-control window of a stream and of a connection, until SETTINGS or WINDOW_UPDATE say otherwise; bytes. */
export const DEFAULT_WINDOW_BYTES = 65_535;
/** The setting that says how large the window of a new stream is. */
export const SETTING_INITIAL_WINDOW = 0x4;
/** The one stream of each connection: the first that a client may open. */
export const STREAM_ID = 1;

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** What opens a connection and its one request: preface, settings, headers. */
export const opening = (headerBlock: Uint8Array): Buffer =>
  Buffer.concat([
    PREFACE,
    frame(FRAME.settings, 0, 0, new Uint8Array()),
    frame(FRAME.headers, FLAG.endHeaders, STREAM_ID, headerBlock),
  ]);

export const settingsAck = (): Buffer => frame(FRAME.settings, FLAG.ack, 0, new Uint8Array());

export const pingAck = (payload: Uint8Array): Buffer => frame(FRAME.ping, FLAG.ack, 0, payload);

/** Lets the peer send so many bytes more, on the connection and on the stream. */
export function windowUpdates(byteCount: number): Buffer {
  const increment = Buffer.alloc(4);
  increment.writeUInt32BE(byteCount);
  return Buffer.concat([
    frame(FRAME.windowUpdate, 0, 0, increment),
    frame(FRAME.windowUpdate, 0, STREAM_ID, increment),
  ]);
}

/** A message of gRPC, uncompressed, in a DATA frame of its own. */
export function messageFrame(message: Uint8Array): Buffer {
  const prefixed = Buffer.alloc(5 + message.length);
  prefixed.writeUInt32BE(message.length, 1);
  prefixed.set(message, 5);
  return frame(FRAME.data, 0, STREAM_ID, prefixed);
}
