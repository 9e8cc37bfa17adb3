import type { Channel } from 'nice-grpc';

/** What is needed of grpc-js 1.14 beside what it declares. A part that is missing in another version is left out. */
interface Inner {
  readonly internalChannel?: {
    readonly subchannelPool?: {
      readonly pool?: Readonly<Record<string, readonly { readonly subchannel: Subchannel }[]>>;
    };
  };
}
interface Subchannel {
  continueConnecting?: boolean;
  readonly backoffTimeout?: { stop(): void };
}

/**
 * Closes a channel with a subchannel pool of its own for good.
 *
 * A channel of grpc-js that is closed while it waits to connect again goes on doing so: when its backoff ends it connects, for
 * nobody, and the connection stays open as long as the process (subchannel.js: `handleBackoffTimer` does not ask whether
 * anybody still refers to it). A MIGlet whose controller is away would gather a connection with every try.
 */
export function closeChannel(channel: Channel): void {
  const { pool = {} } = (channel as unknown as Inner).internalChannel?.subchannelPool ?? {};
  const subchannels = Object.values(pool).flatMap((entries) => entries.map((entry) => entry.subchannel));
  const forget = (): void => {
    for (const subchannel of subchannels) {
      subchannel.continueConnecting = false;
      subchannel.backoffTimeout?.stop();
    }
  };
  channel.close();
  forget();
  // What the close set going in this turn.
  setImmediate(forget);
}
