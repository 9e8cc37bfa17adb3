/** How large each message was on the wire: known where it is decoded, wanted where it is counted. */
import type { MigletMessage } from '@mig/common/domain/messages';
import { commandServiceDefinition } from '@mig/common/wire/command-service';

const sizes = new WeakMap<MigletMessage, number>();

/** The contract of the command service, with the size of every message noted. */
export const measuredDefinition = {
  ...commandServiceDefinition,
  streamCommands: {
    ...commandServiceDefinition.streamCommands,
    requestDeserialize(bytes: Uint8Array): MigletMessage {
      const message = commandServiceDefinition.streamCommands.requestDeserialize(bytes);
      sizes.set(message, bytes.length);
      return message;
    },
  },
} as const;

/** Bytes; 0 if it did not come by the measured contract. */
export const sizeOf = (message: MigletMessage): number => sizes.get(message) ?? 0;
