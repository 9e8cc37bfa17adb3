/** The original contract, loaded from its own file with @grpc/proto-loader: nothing of this project's code is in it. */
import { fileURLToPath } from 'node:url';
import {
  loadPackageDefinition,
  type ClientDuplexStream,
  type GrpcObject,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** A message as proto-loader shows it: fields in snake_case, 64-bit numbers as numbers. */
export type LegacyMessage = Readonly<Record<string, unknown>>;
export type LegacyStream = ClientDuplexStream<LegacyMessage, LegacyMessage>;

const CONTRACT = fileURLToPath(new URL('../../legacy/contract.proto', import.meta.url));

export function loadLegacyService(): ServiceClientConstructor {
  const definition = loadSync(CONTRACT, {
    keepCase: true,
    longs: Number,
    enums: String,
    oneofs: true,
    defaults: true,
  });
  const loaded = loadPackageDefinition(definition);
  const commands = (loaded['miglet'] as GrpcObject)['commands'] as GrpcObject;
  return commands['CommandService'] as ServiceClientConstructor;
}
