/**
 * A MIGlet that was written before this project: it knows the original contract and nothing of ours. It answers each command
 * once, with its result, counts no events, and has no boot.
 */
import { credentials } from '@grpc/grpc-js';
import { loadLegacyService, type LegacyMessage, type LegacyStream } from './contract.js';

export interface LegacyMiglet {
  /** What the controller sent, in order. */
  readonly received: readonly LegacyMessage[];
  /** Set when the stream has ended. */
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
  send(message: LegacyMessage): void;
  /** Answers a command as a legacy MIGlet does. */
  acknowledge(commandId: string, success: boolean, message: string): void;
  close(): void;
}

export interface LegacyIdentity {
  readonly vm_id: string;
  readonly pool_id: string;
  readonly org_id: string;
}

/** @param endpoint HOST:PORT of the controller */
export function connectLegacyMiglet(endpoint: string, identity: LegacyIdentity): LegacyMiglet {
  const Service = loadLegacyService();
  const client = new Service(endpoint, credentials.createInsecure());
  const open = client['StreamCommands']?.bind(client) as unknown as () => LegacyStream;
  const stream = open();
  const received: LegacyMessage[] = [];
  stream.on('data', (message: LegacyMessage) => received.push(message));
  stream.on('error', () => undefined);
  const ended = new Promise<{ code: number; details: string }>((resolve) => {
    stream.on('status', (status: { code: number; details: string }) => resolve(status));
  });
  void ended.then(() => client.close());
  stream.write({ connect: { ...identity, version: 'legacy-1' } });
  return {
    received,
    ended,
    send: (message) => void stream.write(message),
    acknowledge: (commandId, success, message) =>
      void stream.write({ command_ack: { command_id: commandId, success, message, result: {} } }),
    close: () => void stream.end(),
  };
}
