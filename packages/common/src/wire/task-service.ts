/** `miglet.tasks.TaskService` with messages of the domain: what nice-grpc serves and calls. See command-service.ts for why. */
import type { AgentMessage, TaskRequest } from '../domain/task-messages.js';
import { decodeTaskRequest, encodeTaskRequest } from './task-request.js';
import { decodeTaskResponse, encodeTaskResponse } from './task-response.js';

export const TASK_SERVICE_NAME = 'miglet.tasks.TaskService';

export const taskServiceDefinition = {
  streamTasks: {
    path: `/${TASK_SERVICE_NAME}/StreamTasks`,
    requestStream: true,
    responseStream: true,
    requestSerialize: (message: AgentMessage) => encodeTaskResponse(message),
    requestDeserialize: (bytes: Uint8Array) => decodeTaskResponse(bytes),
    responseSerialize: (message: TaskRequest) => encodeTaskRequest(message),
    responseDeserialize: (bytes: Uint8Array) => decodeTaskRequest(bytes),
    options: {},
  },
} as const;
