/**
 * A TCP proxy that is a bad network: every connection through it can be slowed, narrowed, cut, left half open, swallowed, or
 * reset in the middle of a message. Real sockets on 127.0.0.1; what passes is never changed, only late, or never there.
 *
 * `up` is from the client to the server, `down` the way back. Conditions hold for the connections that are open and for those
 * that come; `cut`, `halfOpen` and `resetAfter` are done once, to those that are open.
 */
import net from 'node:net';
import { reset } from './reset.js';
import { createPump, type Pump } from './proxy-pump.js';

export type Direction = 'up' | 'down';

/** What a network does to one direction. */
export interface Conditions {
  /** Every byte comes this much later, plus a random part of `jitterMs`; the order stays. Default 0. */
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** Default Infinity. */
  readonly bytesPerSecond: number;
  /** Nothing passes, neither bytes nor the end of the connection; what was held passes when it is over. Default false. */
  readonly blackHole: boolean;
}

export interface TcpProxy {
  readonly port: number;
  /** Connections to the server that are open now. */
  readonly openCount: number;
  /** Connections that were accepted, in all. */
  readonly totalCount: number;
  /** Sets what is named, for one direction or both; what is not named stays. */
  set(conditions: Partial<Conditions>, direction?: Direction): void;
  /** New connections are reset at once. */
  refuse(refused: boolean): void;
  /** Resets both ends of every open connection (RST). @returns how many */
  cut(): number;
  /**
   * Resets one end of every open connection; the other is not told, and what it sends is swallowed until it gives up.
   * @returns how many
   */
  halfOpen(closedEnd: 'client' | 'server'): number;
  /** Resets every open connection, and those that come, after so many more bytes in this direction. `clear` takes it back. */
  resetAfter(bytes: number, direction: Direction): void;
  /** Ends every condition. Connections that are half open are reset. */
  clear(): void;
  /** Resets everything and stops. */
  close(): Promise<void>;
}

export interface TcpProxyOptions {
  readonly targetPort: number;
  /** Default 0: any that is free. */
  readonly port?: number;
  /** Of the jitter. Default Math.random. */
  readonly random?: () => number;
  /** Sees what passes, before it passes. */
  readonly onData?: (chunk: Buffer, direction: Direction) => void;
}

interface Connection {
  readonly client: net.Socket;
  readonly server: net.Socket;
  readonly pumps: Readonly<Record<Direction, Pump>>;
  /** One end was reset, and the other does not know. */
  halfOpen: boolean;
}

const CLEAR: Conditions = { latencyMs: 0, jitterMs: 0, bytesPerSecond: Infinity, blackHole: false };
const DIRECTIONS: readonly Direction[] = ['up', 'down'];

/** Resolves when it listens on 127.0.0.1. Rejects if the port is taken. */
export async function createTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const random = options.random ?? Math.random;
  const connections = new Set<Connection>();
  const conditions: Record<Direction, Conditions> = { up: CLEAR, down: CLEAR };
  const resets: Record<Direction, number | undefined> = { up: undefined, down: undefined };
  let refused = false;
  let totalCount = 0;

  const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    totalCount += 1;
    client.on('error', () => undefined);
    if (refused) {
      reset(client);
      return;
    }
    const server = net.connect({
      host: '127.0.0.1',
      port: options.targetPort,
      allowHalfOpen: true,
      noDelay: true,
    });
    server.on('error', () => undefined);
    join(client, server);
  });

  function join(client: net.Socket, server: net.Socket): void {
    const pump = (direction: Direction, from: net.Socket, to: net.Socket): Pump =>
      createPump(from, to, {
        random,
        conditions: () => conditions[direction],
        onData: (chunk) => options.onData?.(chunk, direction),
        onBytesSpent: () => breakOff(connection),
      });
    const connection: Connection = {
      client,
      server,
      pumps: { up: pump('up', client, server), down: pump('down', server, client) },
      halfOpen: false,
    };
    connections.add(connection);
    for (const direction of DIRECTIONS) armReset(connection, direction);
    for (const socket of [client, server]) {
      socket.once('close', (hadError) => {
        const other = socket === client ? server : client;
        if (other.destroyed) {
          for (const direction of DIRECTIONS) connection.pumps[direction].stop();
          connections.delete(connection);
        } else if (!connection.halfOpen && hadError)
          connection.pumps[socket === client ? 'up' : 'down'].reset();
      });
    }
  }

  function armReset(connection: Connection, direction: Direction): void {
    const bytes = resets[direction];
    connection.pumps[direction].limitBytes(bytes ?? Infinity);
  }

  function breakOff(connection: Connection): void {
    reset(connection.client);
    reset(connection.server);
  }

  function wakeAll(): void {
    for (const connection of connections)
      for (const direction of DIRECTIONS) connection.pumps[direction].wake();
  }

  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(options.port ?? 0, '127.0.0.1', () => {
      listener.removeListener('error', reject);
      resolve();
    });
  });

  return {
    port: (listener.address() as net.AddressInfo).port,
    get openCount() {
      return [...connections].filter(({ server }) => !server.destroyed).length;
    },
    get totalCount() {
      return totalCount;
    },
    set(wanted, direction) {
      for (const each of direction === undefined ? DIRECTIONS : [direction])
        conditions[each] = { ...conditions[each], ...wanted };
      wakeAll();
    },
    refuse(value) {
      refused = value;
    },
    cut() {
      const count = connections.size;
      for (const connection of connections) breakOff(connection);
      return count;
    },
    halfOpen(closedEnd) {
      let count = 0;
      for (const connection of connections) {
        if (connection.halfOpen) continue;
        count += 1;
        connection.halfOpen = true;
        for (const direction of DIRECTIONS) connection.pumps[direction].swallow();
        reset(connection[closedEnd]);
      }
      return count;
    },
    resetAfter(bytes, direction) {
      resets[direction] = bytes;
      for (const connection of connections) armReset(connection, direction);
    },
    clear() {
      refused = false;
      for (const direction of DIRECTIONS) {
        conditions[direction] = CLEAR;
        resets[direction] = undefined;
      }
      for (const connection of connections) {
        if (connection.halfOpen) breakOff(connection);
        else for (const direction of DIRECTIONS) armReset(connection, direction);
      }
      wakeAll();
    },
    close() {
      for (const connection of connections) breakOff(connection);
      return new Promise((resolve) => listener.close(() => resolve()));
    },
  };
}
