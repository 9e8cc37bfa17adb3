/** What a bare server knows: who is connected, and what is answered to what. Nothing is checked, kept or written. */
import { AckPhase, DeregisterResultOutcome } from '@mig/common/gen/commands';
import type { ControllerMessage, MIGletMessage } from '@mig/common/gen/commands';
import { VERSION } from '@mig/common/version';

export interface Peer {
  push(message: ControllerMessage): void;
}

export interface Conversation {
  /** Takes what a peer says; what is to be said goes to that peer. */
  take(message: MIGletMessage, peer: Peer): void;
  /** Sends a command of that type to one peer, or to all. */
  order(type: string, vmId: string | undefined): string;
}

/** @param quiet heartbeats are not acknowledged, as a controller does not */
export function createConversation({ quiet }: { readonly quiet: boolean }): Conversation {
  const peers = new Map<string, Peer>();
  let heartbeats = 0;
  let commands = 0;

  const answer = (peer: Peer, message: NonNullable<ControllerMessage['message']>): void =>
    peer.push({ message });

  return {
    take({ message }, peer) {
      switch (message?.$case) {
        case 'connect':
          peers.set(message.value.vmId, peer);
          answer(peer, {
            $case: 'connectAck',
            value: {
              accepted: true,
              message: 'welcome',
              serverVersion: VERSION,
              sessionId: message.value.bootId,
              lastEventSequence: 0,
              heartbeatIntervalMs: 0,
              announceAgain: false,
              reconnectWindowMs: 0,
            },
          });
          return;
        case 'heartbeat':
          if (quiet) return;
          heartbeats += 1;
          answer(peer, { $case: 'eventAck', value: { bootId: message.value.bootId, sequence: heartbeats } });
          return;
        case 'deregisterRequest':
          answer(peer, {
            $case: 'deregisterResult',
            value: {
              requestId: message.value.requestId,
              outcome: DeregisterResultOutcome.OUTCOME_NOT_MANAGED,
              message: '',
            },
          });
          return;
        case 'commandAck':
          if (message.value.phase !== AckPhase.ACK_PHASE_COMPLETED) return;
          answer(peer, { $case: 'resultAck', value: { commandId: message.value.commandId } });
          return;
        case 'event':
        case 'error':
        case undefined:
      }
    },

    order(type, vmId) {
      commands += 1;
      const id = `cmd-${commands}`;
      const to = vmId === undefined ? [...peers.values()] : [peers.get(vmId)];
      for (const peer of to) {
        peer?.push({
          message: {
            $case: 'command',
            value: {
              id,
              type,
              stringParams: {},
              intParams: {},
              boolParams: {},
              stringArrayParams: [],
              createdAt: Math.floor(Date.now() / 1_000),
              startWithinMs: 0,
              attempt: 1,
            },
          },
        });
      }
      return id;
    },
  };
}
