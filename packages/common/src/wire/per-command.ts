/**
 * What a controller says for every command, encoded by hand, in a fifth of the time that the generated code takes: the command, and
 * that its result is recorded. The bytes are those of the generated code; a message that is not plain is left to it.
 *
 * Plain: texts of ASCII, numbers that are not negative, nothing as long as 128 bytes but the command itself, which has 1 KiB at most.
 */
import type { CommandMessage } from '../domain/messages.js';
import type { ParameterValue } from '../domain/command.js';
import { toSeconds } from './report.js';

/** Its bytes are its characters, and its length takes one byte. */
const PLAIN = /^[ -~]{1,125}$/;
const MAX_PART = 127;
const MAX_BYTES = 1_024;
/** More than the largest part that is written before the room for the next is looked at. */
const PART_ROOM = 2 * MAX_PART + 32;
/** A tag, and a length, of two bytes each at most. */
const HEADER_BYTES = 4;

/** Tags: the number of the field, and its kind (0 a number, 2 with a length). */
const COMMAND = (2 << 3) | 2;
const RESULT_ACK = { field: (22 << 3) | 2, commandId: (1 << 3) | 2 } as const;
const FIELD = {
  id: (1 << 3) | 2,
  type: (2 << 3) | 2,
  stringParam: (3 << 3) | 2,
  intParam: (4 << 3) | 2,
  boolParam: (5 << 3) | 2,
  createdAt: 7 << 3,
  startWithinMs: 20 << 3,
  attempt: 21 << 3,
} as const;
const ENTRY = { key: (1 << 3) | 2, text: (2 << 3) | 2, number: 2 << 3 } as const;

/** One for all: what is written is copied out before the next begins. */
const bytes = Buffer.allocUnsafeSlow(HEADER_BYTES + MAX_BYTES + PART_ROOM);
let at = 0;

/** `ControllerMessage.command` (field 2); undefined if it is not plain. */
export function encodePlainCommand(command: CommandMessage): Uint8Array | undefined {
  const { id, type, parameters } = command;
  const createdAt = toSeconds(command.createdAt);
  const startWithinMs = Math.round(command.startWithinMs);
  if (!PLAIN.test(id) || !PLAIN.test(type)) return undefined;
  if (!isPlainNumber(createdAt) || !isPlainNumber(startWithinMs) || !isPlainNumber(command.attempt))
    return undefined;
  at = HEADER_BYTES;
  putText(FIELD.id, id);
  putText(FIELD.type, type);
  let before = 0;
  for (const name of Object.keys(parameters)) {
    const field = putParameter(name, parameters[name]);
    // The generated code has all texts before all numbers.
    if (field === undefined || field < before || at > MAX_BYTES) return undefined;
    before = field;
  }
  putNumber(FIELD.createdAt, createdAt);
  putNumber(FIELD.startWithinMs, startWithinMs);
  putNumber(FIELD.attempt, command.attempt);
  return withHeader(COMMAND);
}

/** `ControllerMessage.result_ack` (field 22) with its `command_id` (field 1); undefined if the id is not plain. */
export function encodePlainResultAck(commandId: string): Uint8Array | undefined {
  if (!PLAIN.test(commandId)) return undefined;
  at = HEADER_BYTES;
  putText(RESULT_ACK.commandId, commandId);
  return withHeader(RESULT_ACK.field);
}

const isPlainNumber = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** @returns its field; undefined if it is not plain */
function putParameter(name: string, value: ParameterValue | undefined): number | undefined {
  if (!PLAIN.test(name)) return undefined;
  const field = fieldOf(value);
  if (field === undefined) return undefined;
  put(field);
  const start = at + 1;
  at = start;
  putText(ENTRY.key, name);
  if (typeof value === 'string') putText(ENTRY.text, value);
  else putNumber(ENTRY.number, Number(value));
  const length = at - start;
  bytes[start - 1] = length;
  return length > MAX_PART ? undefined : field;
}

function fieldOf(value: ParameterValue | undefined): number | undefined {
  if (typeof value === 'string') return value === '' || PLAIN.test(value) ? FIELD.stringParam : undefined;
  if (typeof value === 'number') return isPlainNumber(value) ? FIELD.intParam : undefined;
  return typeof value === 'boolean' ? FIELD.boolParam : undefined;
}

/** A tag, or a number as a varint. */
function put(value: number): void {
  let rest = value;
  while (rest > MAX_PART) {
    bytes[at] = (rest % 128) | 128;
    at += 1;
    rest = Math.floor(rest / 128);
  }
  bytes[at] = rest;
  at += 1;
}

/** Nothing if it is 0, as proto3 has it. */
function putNumber(field: number, value: number): void {
  if (value === 0) return;
  put(field);
  put(value);
}

/** Nothing if it is empty, as proto3 has it. */
function putText(field: number, text: string): void {
  if (text === '') return;
  put(field);
  put(text.length);
  at += bytes.write(text, at, 'latin1');
}

/** What was written, with its field and its length before it. */
function withHeader(field: number): Uint8Array {
  const end = at;
  const length = end - HEADER_BYTES;
  const start = HEADER_BYTES - byteCount(field) - byteCount(length);
  at = start;
  put(field);
  put(length);
  return Buffer.from(bytes.subarray(start, end));
}

/** Of a varint below 16,384. */
const byteCount = (value: number): number => (value > MAX_PART ? 2 : 1);
