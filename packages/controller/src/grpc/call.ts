/**
 * One call on its HTTP/2 stream ("gRPC over HTTP2"): messages in, messages out, headers, a status in the trailers.
 *
 * Whoever serves the call is a `CallListener`: it is called for each message, synchronously, and nothing is made per message but
 * what it makes. A slow reader is known by what `send` returns; a slow listener holds the client back by `pause`.
 *
 * A call ends once: by the server's `end`, by its deadline, or by the client's going away (`onCancel`). What the client still sends
 * after the server's end goes to the listener until the stream is closed, unless it wants none (`discard`).
 */
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { Status, type Metadata } from 'nice-grpc';
import { ACCEPTED_ENCODINGS, decompress } from './compression.js';
import type { Connection } from './connection.js';
import { addMetadata, encodeMessage, metadataOf } from './headers.js';
import { MessageReader, toFrame, type MessageSink } from './message-reader.js';

export interface CallListener {
  /** One message: `bytes` from `start` to `end`, valid only during the call. */
  onMessage(bytes: Buffer, start: number, end: number): void;
  /** The client will send no more. */
  onHalfClose(): void;
  /** The client went away, or the deadline passed: there is nobody to answer to. Not after `end`. */
  onCancel(): void;
  /** After `send` returned false: there is room again. */
  onDrain(): void;
}

/** Makes the listener of a new call. It may end the call at once. */
export type OpenCall = (call: Call) => CallListener;

const CONTENT_TYPE = 'application/grpc+proto';
const NO_DATE = { sendDate: false, waitForTrailers: true };
const TRAILERS_ONLY = { sendDate: false, endStream: true };
/** A timer that is longer would fire at once; a deadline that is longer is none. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const CALL = Symbol('call');
type CalledStream = ServerHttp2Stream & { [CALL]: Call };

export class Call implements MessageSink {
  readonly path: string;
  readonly connection: Connection;
  readonly #stream: ServerHttp2Stream;
  readonly #reader: MessageReader;
  readonly #maxMessageBytes: number;
  #rawHeaders: readonly string[] | undefined;
  #listener: CallListener | undefined;
  #trailers: OutgoingHttpHeaders | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #ended = false;
  #headersSent = false;
  #closed = false;
  #paused = false;
  #waitsForRoom = false;
  #hasHalfClosed = false;
  #discards = false;

  /** @param rawHeaders as Node hands them over: name, value, name, value */
  constructor(
    stream: ServerHttp2Stream,
    rawHeaders: readonly string[],
    options: { readonly path: string; readonly connection: Connection; readonly maxMessageBytes: number },
  ) {
    this.path = options.path;
    this.connection = options.connection;
    this.#stream = stream;
    this.#rawHeaders = rawHeaders;
    this.#maxMessageBytes = options.maxMessageBytes;
    this.#reader = new MessageReader(options.maxMessageBytes);
  }

  /** Serves the call: to be called once, at once. */
  open(openCall: OpenCall, timeoutMs: number | undefined): void {
    const stream = this.#stream as CalledStream;
    stream[CALL] = this;
    stream.on('error', onError);
    stream.on('close', onClose);
    stream.on('end', onEnd);
    this.#listener = openCall(this);
    if (timeoutMs !== undefined && timeoutMs <= MAX_TIMER_MS && !this.#ended)
      this.#deadline = setTimeout(() => this.#onDeadline(), timeoutMs);
    stream.on('data', onData);
    if (this.#paused) stream.pause();
  }

  /** What the client sent with the call. Until `forgetHeaders`. */
  metadata(): Metadata {
    return metadataOf(this.#rawHeaders ?? []);
  }

  /** The value of one header; undefined if it was not sent. Until `forgetHeaders`. */
  header(name: string): string | undefined {
    const headers = this.#rawHeaders ?? [];
    for (let index = 0; index < headers.length; index += 2)
      if (headers[index] === name) return headers[index + 1];
    return undefined;
  }

  /** Nobody will ask for them any more: a call may last for days. */
  forgetHeaders(): void {
    const encoding = this.header('grpc-encoding');
    this.#rawHeaders = encoding === undefined ? undefined : ['grpc-encoding', encoding];
  }

  /** Its status is decided. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Nothing comes any more, and nothing goes out. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Sends the headers now; otherwise they go out with the first message. */
  sendHeaders(metadata?: Metadata): void {
    if (this.#headersSent || this.#ended || this.#isGone()) return;
    this.#headersSent = true;
    const headers: OutgoingHttpHeaders = {
      ':status': 200,
      'content-type': CONTENT_TYPE,
      'grpc-accept-encoding': ACCEPTED_ENCODINGS,
    };
    if (metadata !== undefined) addMetadata(headers, metadata);
    this.#stream.respond(headers, NO_DATE);
  }

  /** @returns false if the client reads more slowly than this is sent: `onDrain` follows. After the end it is dropped. */
  send(message: Uint8Array): boolean {
    return this.sendFrame(toFrame(message));
  }

  /** As `send`, of a message that `toFrame` has made, for one or for many calls. */
  sendFrame(frame: Buffer): boolean {
    if (this.#ended || this.#isGone()) return true;
    if (!this.#headersSent) this.sendHeaders();
    const hasRoom = this.#stream.write(frame);
    if (!hasRoom && !this.#waitsForRoom) {
      this.#waitsForRoom = true;
      this.#stream.once('drain', onDrain);
    }
    return hasRoom;
  }

  /** Ends the call, after what was sent. Only the first call counts. */
  end(status: Status, details = '', trailer?: Metadata): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#deadline);
    if (this.#isGone()) return;
    const trailers: OutgoingHttpHeaders = { 'grpc-status': String(status) };
    if (details !== '') trailers['grpc-message'] = encodeMessage(details);
    if (trailer !== undefined) addMetadata(trailers, trailer);
    if (!this.#headersSent) {
      this.#headersSent = true;
      this.#stream.respond(
        {
          ':status': 200,
          'content-type': CONTENT_TYPE,
          'grpc-accept-encoding': ACCEPTED_ENCODINGS,
          ...trailers,
        },
        TRAILERS_ONLY,
      );
      this.#closeSoon();
      return;
    }
    this.#trailers = trailers;
    this.#stream.once('wantTrailers', onWantTrailers);
    this.#stream.end();
  }

  /** The client is held back when what is under way has come; at most one window of it is kept here. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#reader.resume(this);
    if (!this.#paused && !this.#isGone()) this.#stream.resume();
  }

  /** What still comes of messages is dropped. */
  discard(): void {
    this.#discards = true;
    this.#paused = false;
    if (!this.#isGone()) this.#stream.resume();
  }

  onFrame(compressed: boolean, bytes: Buffer, start: number, end: number): boolean {
    if (this.#discards) return true;
    if (compressed) this.#onCompressed(bytes.subarray(start, end));
    else this.#listener?.onMessage(bytes, start, end);
    return !this.#paused;
  }

  onOversized(length: number): void {
    this.#fail(
      Status.RESOURCE_EXHAUSTED,
      `Received message larger than max (${length} vs. ${this.#maxMessageBytes})`,
    );
  }

  #onCompressed(bytes: Uint8Array): void {
    const encoding = this.header('grpc-encoding');
    const result = decompress(encoding, bytes, this.#maxMessageBytes);
    switch (result.kind) {
      case 'ok':
        this.#listener?.onMessage(result.bytes, 0, result.bytes.length);
        return;
      case 'unknown':
        return this.#fail(
          Status.UNIMPLEMENTED,
          `messages compressed as ${JSON.stringify(encoding)} are not read: use one of ${ACCEPTED_ENCODINGS}`,
        );
      case 'tooLarge':
        return this.#fail(
          Status.RESOURCE_EXHAUSTED,
          `Received message that decompresses to a size larger than ${this.#maxMessageBytes}`,
        );
      case 'damaged':
        return this.#fail(Status.INTERNAL, 'a message that is marked as compressed cannot be decompressed');
    }
  }

  /** The client broke the contract, or its time is over: whoever serves the call learns of it as of a client that went away. */
  #fail(status: Status, details: string): void {
    const listener = this.#listener;
    const wasOpen = !this.#ended;
    this.discard();
    this.end(status, details);
    if (wasOpen) listener?.onCancel();
  }

  #onDeadline(): void {
    this.#fail(Status.DEADLINE_EXCEEDED, 'Deadline exceeded');
  }

  onData(chunk: Buffer): void {
    this.connection.heard();
    if (!this.#discards) this.#reader.read(chunk, this);
  }

  onEnd(): void {
    if (this.#hasHalfClosed) return;
    this.#hasHalfClosed = true;
    if (this.#discards) return;
    if (this.#reader.hasRest) this.#fail(Status.INTERNAL, 'the stream ended within a message');
    else this.#listener?.onHalfClose();
  }

  onDrain(): void {
    this.#waitsForRoom = false;
    if (!this.#ended) this.#listener?.onDrain();
  }

  onWantTrailers(): void {
    if (this.#isGone()) return;
    this.#stream.sendTrailers(this.#trailers ?? {});
    this.#closeSoon();
  }

  onClose(): void {
    this.#closed = true;
    clearTimeout(this.#deadline);
    const listener = this.#listener;
    this.#listener = undefined;
    if (this.#ended) return;
    this.#ended = true;
    listener?.onCancel();
  }

  /** Everything is said: a client that has not ended its half is told that it need not (RFC 9113, 8.1). */
  #closeSoon(): void {
    if (this.#hasHalfClosed) return;
    setImmediate(() => {
      if (!this.#isGone() && !this.#hasHalfClosed) this.#stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  #isGone(): boolean {
    return this.#closed || this.#stream.destroyed || this.#stream.closed;
  }
}

/* One function for all streams, where a closure for each would be kept as long as the stream. */
function onData(this: CalledStream, chunk: Buffer): void {
  this[CALL].onData(chunk);
}
function onEnd(this: CalledStream): void {
  this[CALL].onEnd();
}
function onDrain(this: CalledStream): void {
  this[CALL].onDrain();
}
function onWantTrailers(this: CalledStream): void {
  this[CALL].onWantTrailers();
}
function onClose(this: CalledStream): void {
  this[CALL].onClose();
}
/** How it broke shows when it is closed. */
function onError(): void {}
