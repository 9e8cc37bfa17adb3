/**
 * One stream to the controller: opened, greeted, read until it ends.
 *
 * A session is `up` when the controller has accepted it. What is sent before, or after its end, is not taken: whoever
 * sends keeps it and sends it again in the next session.
 */
import { ClientError, Metadata, Status, createChannel, createClient, type Client } from 'nice-grpc';
import { errorMessage } from '@mig/common/errors';
import { testPoint } from '@mig/common/test-points';
import { MAX_MESSAGE_BYTES, commandServiceDefinition } from '@mig/common/wire/command-service';
import type {
  ConnectAck,
  ConnectRequest,
  ControllerMessage,
  MigletMessage,
} from '@mig/common/domain/messages';
import type { Credentials } from './credentials.js';
import { channelTarget, type LinkTls } from './link-tls.js';
import { closeChannel } from './close-channel.js';

export interface SessionHandlers {
  /** The controller has accepted the stream. */
  onUp(ack: ConnectAck): void;
  /** Every later message, in order. */
  onMessage(message: ControllerMessage): void;
  /** Called once, when the stream has ended, for whatever reason. */
  onDown(reason: string): void;
}

export interface Session {
  /** False if the session is not up or too much waits already: the message was not taken. */
  send(message: MigletMessage): boolean;
  /** Sends what was taken, ends the stream in order, and resolves when the controller has ended it too, or at the deadline. */
  close(deadlineMs: number): Promise<void>;
}

export interface SessionOptions {
  /** HOST:PORT. */
  readonly endpoint: string;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Called once, when the session is opened; one that throws is a session that goes down at once. Undefined = plain text. */
  readonly readTls?: (() => LinkTls | undefined) | undefined;
  /** By what it speaks; default: nothing. */
  readonly credentials?: Pick<Credentials, 'authorize' | 'refuse'> | undefined;
}

/** Messages that wait for a controller that does not read. Beyond it nothing more is taken. */
const OUTBOX_LIMIT = 2_000;

export function openSession(
  options: SessionOptions,
  hello: ConnectRequest,
  handlers: SessionHandlers,
): Session {
  let address: ReturnType<typeof channelTarget>;
  try {
    address = channelTarget(options.endpoint, options.readTls?.());
  } catch (error) {
    return failedSession(errorMessage(error), handlers);
  }
  const channel = createChannel(...address, {
    'grpc.keepalive_time_ms': options.keepaliveMs,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.enable_retries': 0,
    'grpc.enable_channelz': 0,
    // A new session is a new connection: the machine alone decides when to try again.
    'grpc.use_local_subchannel_pool': 1,
  });
  const client: Client<typeof commandServiceDefinition> = createClient(commandServiceDefinition, channel);
  const abort = new AbortController();
  const waiting: MigletMessage[] = [{ kind: 'connect', request: hello }];
  let up = false;
  let ended = false;
  let wake: (() => void) | undefined;

  async function* outgoing(): AsyncGenerator<MigletMessage> {
    for (;;) {
      const message = waiting.shift();
      if (message !== undefined) {
        yield message;
        testPoint('stream.sent');
      } else if (ended) return;
      else {
        await new Promise<void>((resolve) => (wake = resolve));
        wake = undefined;
      }
    }
  }

  function end(): void {
    up = false;
    ended = true;
    wake?.();
  }

  async function run(): Promise<string> {
    const { credentials } = options;
    let token: string | undefined;
    try {
      if (credentials !== undefined) {
        const authorized = await credentials.authorize(abort.signal);
        if (authorized.kind !== 'ok') return authorized.reason;
        token = authorized.value;
      }
      const metadata = token === undefined ? Metadata() : Metadata({ authorization: `Bearer ${token}` });
      for await (const message of client.streamCommands(outgoing(), { signal: abort.signal, metadata })) {
        const refusal = receive(message);
        if (refusal !== undefined) return refusal;
      }
      return 'the controller ended the stream';
    } catch (error) {
      if (error instanceof ClientError && error.code === Status.UNAUTHENTICATED) credentials?.refuse(token);
      return describe(error);
    }
  }

  function receive(message: ControllerMessage): string | undefined {
    if (message.kind === 'malformed')
      return `a message of the controller could not be decoded: ${message.reason}`;
    if (up) {
      handlers.onMessage(message);
      return undefined;
    }
    if (message.kind !== 'connectAck')
      return `the controller sent ${message.kind} before it accepted the stream`;
    if (!message.ack.accepted) return `the controller refused the stream: ${message.ack.message}`;
    up = true;
    handlers.onUp(message.ack);
    return undefined;
  }

  const finished = run().then((reason) => {
    end();
    abort.abort();
    closeChannel(channel);
    handlers.onDown(reason);
  });

  return {
    send(message) {
      if (!up || waiting.length >= OUTBOX_LIMIT) return false;
      waiting.push(message);
      wake?.();
      return true;
    },
    async close(deadlineMs) {
      end();
      const timer = setTimeout(() => abort.abort(), deadlineMs);
      await finished;
      clearTimeout(timer);
    },
  };
}

/** Nothing was opened. */
function failedSession(reason: string, handlers: SessionHandlers): Session {
  const finished = Promise.resolve().then(() => handlers.onDown(reason));
  return { send: () => false, close: () => finished };
}

function describe(error: unknown): string {
  return error instanceof ClientError ? `${Status[error.code]}: ${error.details}` : errorMessage(error);
}
