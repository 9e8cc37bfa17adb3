/** What a controller asks of an agent: bytes <-> domain. */
import { TaskRequest as Wire } from '../gen/tasks.js';
import type { TaskRequest } from '../domain/task-messages.js';
import type { TaskWork } from '../domain/task.js';
import { errorMessage } from '../errors.js';
import { fromWireOperation, toWireOperation } from './docker-operation.js';

const NOTHING = { timeoutMs: 0, graceMs: 0, resumeMs: 0, rawOutput: false, windowBytes: 0 };

export function encodeTaskRequest(request: TaskRequest): Uint8Array {
  return Wire.encode(toWire(request)).finish();
}

/** Never throws: bytes that cannot be decoded are a message of kind `malformed`. */
export function decodeTaskRequest(bytes: Uint8Array): TaskRequest {
  try {
    return fromWire(Wire.decode(bytes));
  } catch (error) {
    return { kind: 'malformed', reason: errorMessage(error) };
  }
}

function toWire(request: TaskRequest): Wire {
  switch (request.kind) {
    case 'start': {
      const { agentId, taskId, timeoutMs, graceMs, resumeMs, rawOutput, windowBytes } = request;
      const limits = { timeoutMs, graceMs, resumeMs, rawOutput, windowBytes };
      return { ...limits, agentId, taskId, task: toWireWork(request.work) };
    }
    case 'cancel': {
      const { agentId, taskId, reason } = request;
      return { ...NOTHING, agentId, taskId, task: { $case: 'taskCancel', value: { reason } } };
    }
    case 'ack': {
      const { agentId, taskId, sequence } = request;
      return { ...NOTHING, agentId, taskId, task: { $case: 'taskAck', value: { sequence } } };
    }
    case 'unknown':
    case 'malformed':
      throw new Error(`a message of kind ${request.kind} cannot be sent`);
  }
}

function toWireWork(work: TaskWork): NonNullable<Wire['task']> {
  if (work.kind === 'docker') return { $case: 'dockerOperation', value: toWireOperation(work.operation) };
  const { cmd, env, workingDir } = work;
  return { $case: 'shellExecute', value: { cmd, env: [...env], workingDir } };
}

function fromWire(wire: Wire): TaskRequest {
  const { task, ...fields } = wire;
  const { agentId, taskId } = wire;
  const unknown = { kind: 'unknown' as const, agentId, taskId };
  if (task === undefined) return unknown;
  const start = { kind: 'start' as const, ...fields };
  switch (task.$case) {
    case 'shellExecute':
      return { ...start, work: { kind: 'shell', ...task.value } };
    case 'dockerOperation': {
      const operation = fromWireOperation(task.value);
      return operation === undefined ? unknown : { ...start, work: { kind: 'docker', operation } };
    }
    case 'taskCancel':
      return { kind: 'cancel', agentId, taskId, reason: task.value.reason };
    case 'taskAck':
      return { kind: 'ack', agentId, taskId, sequence: task.value.sequence };
  }
}
