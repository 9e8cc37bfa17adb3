import type net from 'node:net';

/**
 * Ends a connection with RST. `resetAndDestroy` alone sends a FIN first, after which a peer that does not write never learns
 * of the RST; destroyed in the same turn, the FIN is not sent.
 */
export function reset(socket: net.Socket): void {
  socket.resetAndDestroy();
  socket.destroy();
}
