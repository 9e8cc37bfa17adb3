/** What is served of a method, whichever generator its definition came from: grpc-js, ts-proto, or nice-grpc's own form. */
import type { CompatServiceDefinition, TsProtoServiceDefinition } from 'nice-grpc';

/** A method, with the codec of its messages. */
export interface ServedMethod {
  /** Under which name the implementation has it. */
  readonly name: string;
  /** `/package.Service/Method` */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly options: { readonly idempotencyLevel?: 'IDEMPOTENT' | 'NO_SIDE_EFFECTS' };
  /** @throws Error if the bytes are no message */
  decode(bytes: Buffer): unknown;
  encode(message: unknown): Uint8Array;
}

/** A method in the form that nice-grpc and grpc-js have in common. */
interface PlainMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly options?: ServedMethod['options'];
  requestDeserialize(bytes: Buffer): unknown;
  responseSerialize(message: unknown): Uint8Array;
}

export function methodsOf(definition: CompatServiceDefinition): ServedMethod[] {
  return isOfTsProto(definition)
    ? methodsOfTsProto(definition)
    : Object.entries(definition as Readonly<Record<string, PlainMethod>>).map(([name, method]) => ({
        name,
        path: method.path,
        requestStream: method.requestStream,
        responseStream: method.responseStream,
        options: method.options ?? {},
        decode: (bytes) => method.requestDeserialize(bytes),
        encode: (message) => method.responseSerialize(message),
      }));
}

const isOfTsProto = (definition: CompatServiceDefinition): definition is TsProtoServiceDefinition =>
  typeof definition['fullName'] === 'string' && 'methods' in definition;

const methodsOfTsProto = ({ fullName, methods }: TsProtoServiceDefinition): ServedMethod[] =>
  Object.entries(methods).map(([name, method]) => ({
    name,
    path: `/${fullName}/${method.name}`,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    options: method.options,
    decode: (bytes) => method.requestType.decode(bytes) as unknown,
    encode(message) {
      const { fromPartial } = method.responseType;
      return method.responseType.encode(fromPartial?.(message) ?? message).finish();
    },
  }));
