/** What is asked of the Docker engine: wire <-> domain. The fields have the same names on both sides. */
import type { DockerOperation as Wire } from '../gen/tasks.js';
import type { DockerOperation } from '../domain/task.js';

export function toWireOperation(operation: DockerOperation): Wire {
  return { operation: toCase(operation) };
}

function toCase(operation: DockerOperation): NonNullable<Wire['operation']> {
  switch (operation.kind) {
    case 'run': {
      const { command, env, volumes, ports, labels } = operation;
      const lists = { command: [...command], env: [...env], volumes: [...volumes], ports: [...ports] };
      return { $case: 'run', value: { ...operation, ...lists, labels: { ...labels } } };
    }
    case 'start':
      return { $case: 'start', value: operation };
    case 'stop':
      return { $case: 'stop', value: operation };
    case 'logs':
      return { $case: 'logs', value: operation };
    case 'pull':
      return { $case: 'pull', value: operation };
    case 'remove':
      return { $case: 'remove', value: operation };
    case 'list':
      return { $case: 'list', value: operation };
  }
}

/** Undefined for an operation that this version does not know. */
export function fromWireOperation({ operation }: Wire): DockerOperation | undefined {
  if (operation === undefined) return undefined;
  switch (operation.$case) {
    case 'run':
      return { kind: 'run', ...operation.value };
    case 'start':
      return { kind: 'start', ...operation.value };
    case 'stop':
      return { kind: 'stop', ...operation.value };
    case 'logs':
      return { kind: 'logs', ...operation.value };
    case 'pull':
      return { kind: 'pull', ...operation.value };
    case 'remove':
      return { kind: 'remove', ...operation.value };
    case 'list':
      return { kind: 'list', ...operation.value };
  }
}
