/** How large each message was on the wire: known where it is decoded, wanted where it is counted. */
import type { MigletMessage } from '@mig/common/domain/messages';
import { commandServiceDefinition } from '@mig/common/wire/command-service';
import { hasMoreFields } from './field-count.js';

const sizes = new WeakMap<MigletMessage, number>();

/** A message of the contract has some dozens; one that has more is not decoded. */
const MAX_FIELDS = 10_000;

/** A message that is small has few. */
const isTooComplex = (bytes: Uint8Array): boolean =>
  bytes.length > 2 * MAX_FIELDS && hasMoreFields(bytes, MAX_FIELDS);

/** The contract of the command service, with the size of every message noted. */
export const measuredDefinition = {
  ...commandServiceDefinition,
  streamCommands: {
    ...commandServiceDefinition.streamCommands,
    requestDeserialize(bytes: Uint8Array): MigletMessage {
      const message = isTooComplex(bytes)
        ? ({ kind: 'malformed', reason: `it has more than ${MAX_FIELDS} fields` } as const)
        : commandServiceDefinition.streamCommands.requestDeserialize(bytes);
      sizes.set(message, bytes.length);
      return message;
    },
  },
} as const;

/** Bytes; 0 if it did not come by the measured contract. */
export const sizeOf = (message: MigletMessage): number => sizes.get(message) ?? 0;
