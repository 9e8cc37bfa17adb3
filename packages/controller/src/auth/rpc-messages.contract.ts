/**
 * Every RPC of proto/, and messages for them at random, from the descriptors alone: an RPC that is added there is tried
 * without a word here.
 */
import fc from 'fast-check';
import { descriptorSet } from '@mig/common/wire/command-service';

export interface Rpc {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly requestStream: boolean;
  /** Bytes of a message of its contract. */
  readonly message: fc.Arbitrary<Uint8Array>;
}

/** A field as it is on the wire (protobuf.dev/programming-guides/encoding). */
interface WireField {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/** Fields of google/protobuf/descriptor.proto: a message, and a field of one. */
interface MessageType {
  readonly name: string;
  readonly fields: readonly { readonly number: number; readonly type: number; readonly typeName: string }[];
}

const TYPE_DOUBLE = 1;
const TYPE_FLOAT = 2;
const TYPE_STRING = 9;
const TYPE_MESSAGE = 11;
const TYPE_BYTES = 12;
/** Messages hold messages hold messages: no deeper. */
const MAX_DEPTH = 4;

/** All that the files of proto/ declare. */
export function protoRpcs(): Rpc[] {
  const types = new Map<string, MessageType>();
  const rpcs: Rpc[] = [];
  const files = all(read(descriptorSet()), 1).map(read);
  for (const file of files) {
    const scope = `.${text(file, 2)}`;
    for (const message of all(file, 4)) enter(types, scope, read(message));
  }
  for (const file of files) {
    for (const service of all(file, 6).map(read)) {
      for (const method of all(service, 2).map(read)) {
        rpcs.push({
          path: `/${text(file, 2)}.${text(service, 1)}/${text(method, 1)}`,
          requestStream: method.some(({ number, value }) => number === 5 && value === 1),
          message: messageOf(types, text(method, 2), MAX_DEPTH),
        });
      }
    }
  }
  return rpcs;
}

/** Fields that somebody may have meant: small numbers, every kind of content, also wrong kinds, messages within messages. */
export const fieldSoup: fc.Arbitrary<Uint8Array> = fc.letrec<{ soup: Uint8Array }>((tie) => ({
  soup: fc
    .array(
      fc.tuple(
        fc.integer({ min: 1, max: 40 }),
        fc.oneof(
          { depthSize: 'small', maxDepth: 4 },
          fc.maxSafeNat().map((value) => ({ wire: 0, bytes: varint(value) })),
          fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => ({ wire: 1, bytes })),
          fc.string({ unit: 'binary', maxLength: 60 }).map((value) => delimited(Buffer.from(value))),
          fc.uint8Array({ maxLength: 60 }).map(delimited),
          tie('soup').map(delimited),
        ),
      ),
      { maxLength: 8 },
    )
    .map((fields) =>
      Buffer.concat(fields.flatMap(([number, { wire, bytes }]) => [varint(number * 8 + wire), bytes])),
    ),
})).soup;

function enter(types: Map<string, MessageType>, scope: string, message: readonly WireField[]): void {
  const name = `${scope}.${text(message, 1)}`;
  types.set(name, {
    name,
    fields: all(message, 2)
      .map(read)
      .map((field) => ({ number: number(field, 3), type: number(field, 5), typeName: text(field, 6) })),
  });
  for (const nested of all(message, 3)) enter(types, name, read(nested));
}

function messageOf(
  types: ReadonlyMap<string, MessageType>,
  name: string,
  depth: number,
): fc.Arbitrary<Uint8Array> {
  const type = types.get(name);
  if (type === undefined || depth === 0 || type.fields.length === 0) return fc.constant(new Uint8Array());
  const field = fc.oneof(
    ...type.fields.map((each) =>
      contentOf(types, each, depth).map(({ wire, bytes }) =>
        Buffer.concat([varint(each.number * 8 + wire), bytes]),
      ),
    ),
  );
  return fc.array(field, { maxLength: 2 * type.fields.length }).map((parts) => Buffer.concat(parts));
}

function contentOf(
  types: ReadonlyMap<string, MessageType>,
  field: MessageType['fields'][number],
  depth: number,
): fc.Arbitrary<{ readonly wire: number; readonly bytes: Uint8Array }> {
  switch (field.type) {
    case TYPE_DOUBLE:
      return fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => ({ wire: 1, bytes }));
    case TYPE_FLOAT:
      return fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => ({ wire: 5, bytes }));
    case TYPE_STRING:
      return fc
        .oneof(
          fc.constantFrom(
            '',
            'vm-1',
            'linux',
            'boot-1',
            '..',
            '../x',
            'vm_started',
            '__proto__',
            'a'.repeat(64),
          ),
          fc.string({ unit: 'binary', maxLength: 80 }),
        )
        .map((value) => delimited(Buffer.from(value)));
    case TYPE_BYTES:
      return fc.uint8Array({ maxLength: 80 }).map(delimited);
    case TYPE_MESSAGE:
      return messageOf(types, field.typeName, depth - 1).map(delimited);
    default:
      return fc
        .oneof(fc.constantFrom(0, 1, 2 ** 31, 2 ** 53 - 1), fc.maxSafeNat())
        .map((value) => ({ wire: 0, bytes: varint(value) }));
  }
}

function delimited(bytes: Uint8Array): { readonly wire: number; readonly bytes: Uint8Array } {
  return { wire: 2, bytes: Buffer.concat([varint(bytes.length), bytes]) };
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return Buffer.from([...bytes, left]);
}

/** Of bytes that are valid: they are our own. */
function read(bytes: Uint8Array): WireField[] {
  const fields: WireField[] = [];
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at] ?? 0;
      at += 1;
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = next();
    const wire = tag % 8;
    if (wire === 0) {
      fields.push({ number: tag >> 3, value: next() });
      continue;
    }
    const length = wire === 2 ? next() : wire === 1 ? 8 : 4;
    fields.push({ number: tag >> 3, value: bytes.subarray(at, at + length) });
    at += length;
  }
  return fields;
}

const all = (fields: readonly WireField[], wanted: number): Uint8Array[] =>
  fields.flatMap((field) =>
    field.number === wanted && typeof field.value !== 'number' ? [field.value] : [],
  );
const text = (fields: readonly WireField[], wanted: number): string =>
  Buffer.from(all(fields, wanted)[0] ?? []).toString();
const number = (fields: readonly WireField[], wanted: number): number =>
  fields.flatMap((field) =>
    field.number === wanted && typeof field.value === 'number' ? [field.value] : [],
  )[0] ?? 0;
