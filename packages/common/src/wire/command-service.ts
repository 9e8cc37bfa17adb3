/**
 * `miglet.commands.CommandService` with messages of the domain: what nice-grpc serves and calls.
 *
 * The codec sits in the definition, so that neither side sees generated types, and so that bytes that cannot be decoded
 * reach the handler as a message (`malformed`) that it can answer with the right status, where the library would end the
 * call with INTERNAL.
 */
import type { ControllerMessage, MigletMessage } from '../domain/messages.js';
import { descriptorSetBase64 } from '../gen/descriptor-set.js';
import { decodeControllerMessage, encodeControllerMessage } from './controller-message.js';
import { decodeMigletMessage, encodeMigletMessage } from './miglet-message.js';

export const COMMAND_SERVICE_NAME = 'miglet.commands.CommandService';

export const commandServiceDefinition = {
  streamCommands: {
    path: `/${COMMAND_SERVICE_NAME}/StreamCommands`,
    requestStream: true,
    responseStream: true,
    requestSerialize: (message: MigletMessage) => encodeMigletMessage(message),
    requestDeserialize: (bytes: Uint8Array) => decodeMigletMessage(bytes),
    responseSerialize: (message: ControllerMessage) => encodeControllerMessage(message),
    responseDeserialize: (bytes: Uint8Array) => decodeControllerMessage(bytes),
    options: {},
  },
} as const;

/** Largest message that either side takes: 1 MiB. A larger one ends its stream with RESOURCE_EXHAUSTED. */
export const MAX_MESSAGE_BYTES = 1024 * 1024;

/** The descriptors of proto/, for gRPC reflection. */
export const descriptorSet = (): Uint8Array => Buffer.from(descriptorSetBase64, 'base64');
