/**
 * The door that every connection to either port comes through, before a byte of it is read: who may come in now, who waits,
 * who is sent away; and who is to go, because what came over a connection was too much.
 *
 * A connection costs its address one of its credit, and gives it back as soon as somebody on it is let in (`vouch`). Where no
 * credit is left, new connections wait: they are not read, and enter as credit comes back. Streams that are open feel nothing
 * of it. Of those that wait only one that has said something enters, as every client speaks first; the newest does: where very
 * many wait, some get in soon, instead of all too late. While the process is busy all wait for the next look and enter together:
 * that costs a quarter less than one after the other. Who has waited too long is closed. Connections that nobody shows
 * themselves on are closed after a while, where an address has many of them.
 */
import type { Server, Socket } from 'node:net';
import type { Clock } from '@mig/common/clock';
import type { IsBusy } from '@mig/common/process-load';
import { peerOf } from '../auth/peer-address.js';
import { createCredit } from './credit.js';
import { LOOK_MS, createPace } from './pace.js';
import { createTurns } from './turns.js';

export interface Door {
  /** Every connection to this server comes through the door from now on. */
  guard(server: Server): void;
  /**
   * A call without a valid credential came over this connection.
   * @param peer as `peerOf` says it
   * @returns 0, or, if its address has no credit left, how many milliseconds it takes until it has
   */
  charge(peer: string, cost?: number): number;
  /**
   * What such a call asks takes the processor: calls of strangers come one after the other, as many at once as the event loop can
   * bear. The first call of a connection that has just come in has had its turn by that, if a known session makes it.
   *
   * @param knownPeer the connection, as `peerOf` says it, if the call shows a session that is known to be good
   * @returns resolves when it is the turn of one more; undefined = it is now
   */
  turn(knownPeer?: string): Promise<void> | undefined;
  /** This VM, or an operator (undefined), was let in on this connection. */
  vouch(peer: string, vmId?: string): void;
  /**
   * Something was refused on this connection, because it was too much: it is closed as soon as that is told, and at once when it
   * happens again. Unless more than one VM was let in on it.
   */
  refuse(peer: string): void;
  /** What came over this connection did harm before it could be refused: its address pays for that, and it is closed at once. */
  punish(peer: string): void;
  /** To be called now and then. */
  sweep(): void;
  /** The servers close: who waits is sent away, and so is from now on who would have to wait. */
  close(): void;
  /** How often since the start. */
  counts(): Readonly<Record<'connections_delayed' | 'connections_refused' | 'strangers' | 'cut', number>>;
}

export interface DoorDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly isBusy: IsBusy;
}

export interface DoorOptions {
  /** Connections and calls of one address in a second on which nobody has shown themselves. */
  readonly perSecond: number;
  /** False: nobody is asked for a credential, so that calls without one cost nothing. */
  readonly chargeCalls: boolean;
  /** Connections of one address that are inside and on which nobody has shown themselves; more wait. */
  readonly maxStrangers: number;
  /** Connections of one address that wait; of more one is closed. */
  readonly maxWaiting: number;
}

/** So many seconds' worth of connections, and of calls, at once. */
const CONNECTIONS_BURST_S = 0.5;
const CALLS_BURST_S = 3;
/** So many strangers of an address may stay as long as they like: probes, and people who look. */
const QUIET_STRANGERS = 64;
const STRANGER_MS = 20_000;
/** Less than a client waits. */
const PATIENCE_MS = 15_000;
/** So long after it came in the first call of a connection needs no turn of its own. */
const FRESH_MS = 100;
/** What is refused is told; it has gone out by then. */
const FAREWELL_MS = 50;
const SWEEP_MS = 1_000;
/** What a connection costs that does harm: as much as so many others. */
const FINE = 20;
/** What one connection can get back at once: more was taken by calls that were all refused. */
const MAX_GIVEN_BACK = 100;

interface Guest {
  readonly socket: Socket;
  readonly address: string;
  readonly cameMs: number;
  /** Credit that its calls took since somebody was let in. */
  taken: number;
  /** It has not called yet. */
  isFirst: boolean;
  isKnown: boolean;
  /** Who was let in; a proxy may carry several. */
  vmId: string | undefined;
  carriesSeveral: boolean;
  refusals: number;
}

interface Waiting {
  readonly socket: Socket;
  readonly sinceMs: number;
  readonly enter: () => void;
}

export function createDoor({ clock, random, isBusy }: DoorDeps, options: DoorOptions): Door {
  const { perSecond } = options;
  const connections = createCredit(clock, { perSecond, burst: Math.ceil(perSecond * CONNECTIONS_BURST_S) });
  const calls = createCredit(clock, { perSecond, burst: perSecond * CALLS_BURST_S });
  const guests = new Map<string, Guest>();
  const strangers = new Map<string, number>();
  const queues = new Map<string, Waiting[]>();
  const pace = createPace(clock);
  const turn = createTurns(clock);
  const counts = { connections_delayed: 0, connections_refused: 0, strangers: 0, cut: 0 };
  let timer: unknown;
  let isClosed = false;
  let sweptMs = clock.monotonicMs();

  function countStranger(address: string, change: 1 | -1): void {
    const count = (strangers.get(address) ?? 0) + change;
    if (count <= 0) strangers.delete(address);
    else strangers.set(address, count);
  }

  function come(socket: Socket, enter: () => void): void {
    const { remoteAddress: address } = socket;
    // It has gone already.
    if (address === undefined) {
      socket.destroy();
      return;
    }
    const peer = peerOf(socket);
    const go = (): void => {
      const guest: Guest = {
        socket,
        address,
        cameMs: clock.monotonicMs(),
        taken: 0,
        isFirst: true,
        isKnown: false,
        vmId: undefined,
        refusals: 0,
        carriesSeveral: false,
      };
      guests.set(peer, guest);
      countStranger(address, 1);
      socket.once('close', () => {
        guests.delete(peer);
        if (!guest.isKnown) countStranger(address, -1);
      });
      enter();
    };
    if (!isBusy() && !queues.has(address) && mayEnter(address)) {
      go();
      return;
    }
    if (isClosed) {
      socket.destroy();
      return;
    }
    counts.connections_delayed += 1;
    // Until it has entered nobody else listens to it.
    const ignore = (): void => undefined;
    socket.on('error', ignore);
    wait(address, {
      socket,
      sinceMs: clock.monotonicMs(),
      enter() {
        socket.off('error', ignore);
        go();
      },
    });
  }

  const mayEnter = (address: string): boolean =>
    (strangers.get(address) ?? 0) < options.maxStrangers &&
    connections.has(address) &&
    pace.take() &&
    connections.take(address);

  function wait(address: string, waiting: Waiting): void {
    const queue = queues.get(address) ?? [];
    queues.set(address, queue);
    queue.push(waiting);
    if (queue.length > options.maxWaiting) {
      counts.connections_refused += 1;
      const [unlucky] = queue.splice(Math.floor(random() * queue.length), 1);
      unlucky?.socket.destroy();
    }
    if (timer === undefined) lookLater();
  }

  function lookLater(): void {
    pace.wait();
    timer = clock.setTimer(look, LOOK_MS);
  }

  function look(): void {
    timer = undefined;
    pace.look();
    for (const [address, queue] of queues) {
      letIn(address, queue);
      if (queue.length === 0) queues.delete(address);
    }
    if (queues.size > 0) lookLater();
  }

  function letIn(address: string, queue: Waiting[]): void {
    for (let at = queue.length - 1; at >= 0; at -= 1) {
      const waiting = queue[at];
      if (waiting === undefined || waiting.socket.readableLength === 0) continue;
      if (!mayEnter(address)) break;
      queue.splice(at, 1);
      waiting.enter();
    }
  }

  /** Those that have gone, or have waited too long, are at the front. */
  function dismiss(queue: Waiting[], nowMs: number): void {
    let count = 0;
    for (const { socket, sinceMs } of queue) {
      if (!socket.destroyed && nowMs - sinceMs < PATIENCE_MS) break;
      if (!socket.destroyed) counts.connections_refused += 1;
      socket.destroy();
      count += 1;
    }
    queue.splice(0, count);
  }

  function sweep(): void {
    const nowMs = clock.monotonicMs();
    if (nowMs - sweptMs < SWEEP_MS) return;
    sweptMs = nowMs;
    for (const queue of queues.values()) dismiss(queue, nowMs);
    if (![...strangers.values()].some((count) => count > QUIET_STRANGERS)) return;
    // The order is that in which they came.
    for (const [peer, { address, cameMs, isKnown }] of guests) {
      if (nowMs - cameMs < STRANGER_MS) break;
      if (!isKnown && (strangers.get(address) ?? 0) > QUIET_STRANGERS) cut(peer);
    }
  }

  function vouch(peer: string, vmId?: string): void {
    const guest = guests.get(peer);
    if (guest === undefined) return;
    guest.carriesSeveral ||= guest.isKnown && guest.vmId !== vmId;
    guest.vmId = vmId;
    if (guest.taken > 0) calls.giveBack(guest.address, Math.min(guest.taken, MAX_GIVEN_BACK));
    guest.taken = 0;
    if (guest.isKnown) return;
    guest.isKnown = true;
    connections.giveBack(guest.address, 1);
    countStranger(guest.address, -1);
  }

  function cut(peer: string): void {
    const guest = guests.get(peer);
    if (guest === undefined || guest.carriesSeveral || guest.socket.destroyed) return;
    counts.cut += 1;
    guest.socket.destroy();
  }

  return {
    guard(server) {
      const listeners = server.listeners('connection') as ((socket: Socket) => void)[];
      server.removeAllListeners('connection');
      server.on('connection', (socket: Socket) =>
        come(socket, () => {
          for (const listener of listeners) listener.call(server, socket);
        }),
      );
    },
    charge(peer, cost = 1) {
      const guest = guests.get(peer);
      if (guest === undefined) return 0;
      if (!options.chargeCalls) {
        vouch(peer);
        return 0;
      }
      if (calls.take(guest.address, cost)) {
        guest.taken += cost;
        return 0;
      }
      counts.strangers += 1;
      return Math.max(1, calls.waitMs(guest.address));
    },
    turn(knownPeer) {
      const guest = knownPeer === undefined ? undefined : guests.get(knownPeer);
      const isFirst = guest?.isFirst === true && clock.monotonicMs() - guest.cameMs < FRESH_MS;
      if (guest !== undefined) guest.isFirst = false;
      return isFirst ? undefined : turn();
    },
    vouch,
    refuse(peer) {
      const guest = guests.get(peer);
      if (guest === undefined) return;
      guest.refusals += 1;
      // Whoever is refused again and again comes back no faster than one who is not known.
      if (guest.refusals === 1 && guest.isKnown) connections.fine(guest.address, 1);
      if (guest.refusals > 1) cut(peer);
      else clock.setTimer(() => cut(peer), FAREWELL_MS);
    },
    punish(peer) {
      const guest = guests.get(peer);
      if (guest === undefined) return;
      connections.fine(guest.address, FINE);
      cut(peer);
    },
    sweep,
    close() {
      isClosed = true;
      clock.clearTimer(timer);
      for (const queue of queues.values()) for (const { socket } of queue) socket.destroy();
      queues.clear();
    },
    counts: () => ({ ...counts }),
  };
}
