/** The calls about tasks. */
import {
  taskListSchema,
  taskSchema,
  type CreateTaskBody,
  type TaskResource,
} from '@mig/common/api/task-resource';
import type { TaskState } from '@mig/common/domain/task-state';
import type { Client } from './client.js';

export interface TaskFilter {
  readonly vmId?: string | undefined;
  readonly state?: TaskState | undefined;
}

/** @param key the same key again gives the same task, so that this may be retried */
export const createTask = (client: Client, body: CreateTaskBody, key: string): Promise<TaskResource> =>
  client.ask(taskSchema, {
    method: 'POST',
    path: '/api/v1/tasks',
    body,
    headers: { 'idempotency-key': key },
  });

/** All pages, in the order of their submission. */
export const listTasks = (client: Client, { vmId, state }: TaskFilter): Promise<TaskResource[]> =>
  client.askAll(
    taskListSchema,
    { method: 'GET', path: '/api/v1/tasks', query: { vm_id: vmId, state } },
    (page) => page.tasks,
  );

export const getTask = (client: Client, id: string): Promise<TaskResource> =>
  client.ask(taskSchema, { method: 'GET', path: taskPath(id) });

export const cancelTask = (client: Client, id: string): Promise<TaskResource> =>
  client.ask(taskSchema, { method: 'DELETE', path: taskPath(id) });

export const taskPath = (id: string): string => `/api/v1/tasks/${encodeURIComponent(id)}`;
