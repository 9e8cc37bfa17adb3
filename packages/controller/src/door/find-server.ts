/**
 * The net.Server behind a port of this process, which gRPC's library makes and shows to nobody.
 *
 * Node tells of every connection that a server of this process has taken (diagnostics_channel, `net.server.socket`), with the
 * server: one connection to the port, from here, is enough to find it.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import net, { type Server, type Socket } from 'node:net';

const PATIENCE_MS = 5_000;

/** @throws Error if nobody takes the connection: the port is not one of this process */
export function findServer(host: string, port: number): Promise<Server> {
  const probe = net.connect(port, reachable(host));
  probe.on('error', () => undefined); // told by the time that is over
  return new Promise<Server>((resolve, reject) => {
    const timer = setTimeout(
      () => settle(() => reject(new Error(`no server of this process listens on ${host}:${port}`))),
      PATIENCE_MS,
    );
    const onSocket = (message: unknown): void => {
      const { socket } = message as { socket: Socket & { server?: Server } };
      const { server } = socket;
      if (server === undefined || socket.localPort !== port || socket.remotePort !== probe.localPort) return;
      settle(() => resolve(server));
    };
    function settle(outcome: () => void): void {
      clearTimeout(timer);
      unsubscribe('net.server.socket', onSocket);
      probe.destroy();
      outcome();
    }
    subscribe('net.server.socket', onSocket);
  });
}

/** What listens everywhere listens here. */
const reachable = (host: string): string =>
  host === '0.0.0.0' ? '127.0.0.1' : host === '::' || host === '' ? '::1' : host;
