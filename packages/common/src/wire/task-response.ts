/**
 * What an agent answers: bytes <-> domain.
 *
 * Output travels as text, which has to be valid UTF-8; what is not travels in the `raw` fields, which only a peer of ours
 * reads and fills. In the domain both are bytes.
 */
import { TaskResponse as Wire, TaskResponseStatus as WireStatus } from '../gen/tasks.js';
import type { AgentMessage, OutputChunk, TaskResponse, TaskStatus } from '../domain/task-messages.js';
import { errorMessage } from '../errors.js';

export function encodeTaskResponse(message: AgentMessage): Uint8Array {
  if (message.kind === 'malformed') throw new Error('a message of kind malformed cannot be sent');
  return Wire.encode(toWire(message)).finish();
}

/** Never throws: bytes that cannot be decoded are a message of kind `malformed`. */
export function decodeTaskResponse(bytes: Uint8Array): AgentMessage {
  try {
    return fromWire(Wire.decode(bytes));
  } catch (error) {
    return { kind: 'malformed', reason: errorMessage(error) };
  }
}

function toWire(response: TaskResponse): Wire {
  const { agentId, taskId, isFinal, cancelled, timedOut, sequence, message } = response;
  return {
    agentId,
    taskId,
    isFinal,
    cancelled,
    timedOut,
    sequence,
    message,
    status: toWireStatus(response.status),
    response: toWireAnswer(response),
  };
}

function toWireAnswer(response: TaskResponse): Wire['response'] {
  const { exitCode, signal, containerId } = response;
  switch (response.about) {
    case 'shell':
      return { $case: 'shellExecute', value: { ...toTexts(response.chunks), exitCode, signal } };
    case 'docker': {
      const containers = response.containers.map((container) => ({
        ...container,
        names: [...container.names],
      }));
      const value = { ...toTexts(response.chunks), exitCode, containerId, containers };
      return { $case: 'dockerOperation', value };
    }
    case 'cancel':
      return { $case: 'taskCancel', value: { message: response.message } };
    case 'none':
      return undefined;
  }
}

interface Texts {
  stdout: string;
  stderr: string;
  stdoutRaw: Buffer;
  stderrRaw: Buffer;
}

const NO_BYTES = Buffer.alloc(0);
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** At most one chunk of each stream: whoever sends more splits them into several responses. */
function toTexts(chunks: readonly OutputChunk[]): Texts {
  const texts: Texts = { stdout: '', stderr: '', stdoutRaw: NO_BYTES, stderrRaw: NO_BYTES };
  for (const { stream, data } of chunks) {
    try {
      texts[stream] += strict.decode(data);
    } catch {
      texts[`${stream}Raw`] = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    }
  }
  return texts;
}

function toChunks(texts: Texts): OutputChunk[] {
  const chunks: OutputChunk[] = [];
  for (const stream of ['stdout', 'stderr'] as const) {
    if (texts[stream] !== '') chunks.push({ stream, data: Buffer.from(texts[stream]) });
    const raw = texts[`${stream}Raw`];
    if (raw.length > 0) chunks.push({ stream, data: raw });
  }
  return chunks;
}

function fromWire(wire: Wire): TaskResponse {
  const { agentId, taskId, isFinal, cancelled, timedOut, sequence, message, response } = wire;
  const common: TaskResponse = {
    kind: 'response',
    agentId,
    taskId,
    isFinal,
    cancelled,
    timedOut,
    sequence,
    message,
    status: fromWireStatus(wire.status),
    chunks: [],
    exitCode: 0,
    signal: '',
    containerId: '',
    containers: [],
    about: 'none',
  };
  if (response === undefined) return common;
  switch (response.$case) {
    case 'shellExecute': {
      const { exitCode, signal } = response.value;
      return { ...common, about: 'shell', chunks: toChunks(response.value), exitCode, signal };
    }
    case 'dockerOperation': {
      const { exitCode, containerId, containers } = response.value;
      const chunks = toChunks(response.value);
      return { ...common, about: 'docker', chunks, exitCode, containerId, containers };
    }
    case 'taskCancel':
      return { ...common, about: 'cancel', message: message || response.value.message };
  }
}

function toWireStatus(status: TaskStatus): WireStatus {
  switch (status) {
    case 'unknown':
      return WireStatus.UNKNOWN;
    case 'completed':
      return WireStatus.COMPLETED;
    case 'failure':
      return WireStatus.FAILURE;
    case 'in_progress':
      return WireStatus.IN_PROGRESS;
  }
}

function fromWireStatus(status: WireStatus): TaskStatus {
  switch (status) {
    case WireStatus.COMPLETED:
      return 'completed';
    case WireStatus.FAILURE:
      return 'failure';
    case WireStatus.IN_PROGRESS:
      return 'in_progress';
    case WireStatus.UNKNOWN:
    case WireStatus.UNRECOGNIZED:
      break;
  }
  // Also for a number that the enum does not have.
  return 'unknown';
}
