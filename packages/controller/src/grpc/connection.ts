/** One client's connection, and whether it is still there: one that is silent is asked (PING), and cut when it does not answer. */
import type { ServerHttp2Session } from 'node:http2';
import { peerOf } from '../auth/peer-address.js';

export interface KeepaliveOptions {
  /** A connection on which nothing came for so long is asked. */
  readonly keepaliveMs: number;
  /** It is given so long to answer. */
  readonly keepaliveTimeoutMs: number;
}

/** Counts time for all connections: coarse, so that a message costs no look at a clock. */
export interface Ticks {
  now: number;
}

export class Connection {
  readonly session: ServerHttp2Session;
  readonly #ticks: Ticks;
  #heardAt: number;
  #askedAt: number | undefined;
  #peer: string | undefined;

  constructor(session: ServerHttp2Session, ticks: Ticks) {
    this.session = session;
    this.#ticks = ticks;
    this.#heardAt = ticks.now;
  }

  /** Something came from the client. */
  heard(): void {
    this.#heardAt = this.#ticks.now;
  }

  /** `10.0.0.7:4711` or `[2001:db8::7]:4711`; `unknown` when it is gone. */
  get peer(): string {
    // To ask a session for its socket is slow, and every call does.
    if (this.#peer === undefined) {
      const { remoteAddress, remotePort } = this.session.socket ?? {};
      if (remoteAddress === undefined) return peerOf({});
      this.#peer = peerOf({ remoteAddress, remotePort });
    }
    return this.#peer;
  }

  /** Called once in each tick. @param ask, patience in ticks */
  look(ask: number, patience: number): void {
    const now = this.#ticks.now;
    if (this.#askedAt !== undefined) {
      if (this.#heardAt > this.#askedAt) this.#askedAt = undefined;
      else if (now - this.#askedAt >= patience) this.session.destroy();
      return;
    }
    if (now - this.#heardAt < ask || this.session.destroyed) return;
    this.#askedAt = now;
    // Whatever it says, it is there. It refuses if too many are unanswered: then the patience ends this.
    this.session.ping((error) => {
      if (error !== null) return;
      this.#askedAt = undefined;
      this.heard();
    });
  }
}
