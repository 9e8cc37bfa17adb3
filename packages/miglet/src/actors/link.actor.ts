/** Holds one stream to the controller while its state lasts, and tells the machine when it is up and when it ended. */
import { fromCallback } from 'xstate';
import type { ConnectRequest } from '@mig/common/domain/messages';
import type { ControllerLink } from '../controller-link/controller-link.js';
import type { MigletEvent } from '../machine/types.js';

export function createLinkActor(
  link: ControllerLink,
  hello: () => ConnectRequest,
  onDown: (reason: string) => void,
) {
  return fromCallback<MigletEvent>(({ sendBack }) => {
    const tell = sendBack as (event: MigletEvent) => void;
    return link.open(hello(), {
      onUp: (ack) =>
        tell({
          type: 'link.up',
          heartbeatIntervalMs: ack.heartbeatIntervalMs,
          reconnectWindowMs: ack.reconnectWindowMs,
          announceAgain: ack.announceAgain,
        }),
      onHeartbeatPolicy: (intervalMs) => tell({ type: 'heartbeat.policy', intervalMs }),
      onReconnect: (afterMs) => tell({ type: 'link.reconnect', afterMs }),
      onDown: (reason) => {
        onDown(reason);
        tell({ type: 'link.down', reason });
      },
    });
  });
}
