/**
 * The tasks, from their submission to their end.
 *
 *   submit -> store (I1) -> the agent's stream -> output and responses -> log and record -> readers
 *
 * A task is sent at most once, and its record says so before it goes out: after a crash nobody has to guess. What ends it first
 * counts: its agent's word, its time, a cancellation, or an agent that is gone.
 */
import type { Clock } from '@mig/common/clock';
import {
  describeWork,
  environmentOf,
  withoutSecrets,
  type TaskRecord,
  type TaskWork,
} from '@mig/common/domain/task';
import type { TaskResponse } from '@mig/common/domain/task-messages';
import { isTaskFinal } from '@mig/common/domain/task-state';
import { newId } from '@mig/common/domain/ids';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { createAgentLinks, type AgentLink } from './agent-links.js';
import { TaskEndedError, TooManyTasksError, UnknownAgentError } from './errors.js';
import { createOutputFlow, type OutputReader } from './output-flow.js';
import type { OutputStore } from './output-store.js';
import { createOpenTask, type OpenTask } from './open-task.js';
import type { TaskBook, TaskFilter } from './task-book.js';

export interface NewTask {
  readonly vmId: string;
  /** As `poolOf` says of the VM. */
  readonly poolId: string;
  readonly work: TaskWork;
  readonly createdBy: string;
  readonly timeoutMs: number;
  readonly deliveryTimeoutMs: number;
  readonly resume: boolean;
  readonly holdOutput: boolean;
  readonly idempotencyKey?: string | undefined;
}

export interface TaskManager {
  /**
   * Durable when it resolves (I1). The same key again, by the same caller, gives the same task.
   * @throws UnknownAgentError, TooManyTasksError, StoreUnavailableError
   */
  submit(task: NewTask): Promise<TaskRecord>;
  /** @throws UnknownTaskError */
  get(id: string): TaskRecord;
  list(filter: TaskFilter): TaskRecord[];
  /** One that was not sent ends at once, another when its agent has ended it. @throws UnknownTaskError, TaskEndedError */
  cancel(id: string): Promise<TaskRecord>;
  /** @param from 0, or where a page ended @throws UnknownTaskError */
  readOutput(id: string, from: number): Promise<OutputReader>;

  /** A stream is open: what waits for it goes out. An older stream of the agent is ended. */
  connect(link: AgentLink): void;
  /** The stream has ended. */
  disconnect(link: AgentLink): void;
  /** Resolves when there is room for more of the agent. Output of an agent that counts it waits by itself, and resolves at once. */
  receive(link: AgentLink, response: TaskResponse): Promise<void>;
  /** Of the agent's credential while it is connected, else as the fleet knows it. Undefined = nobody knows such a VM. */
  poolOf(vmId: string): string | undefined;
  /** Ends the agent's stream: it may no longer speak for the VM. */
  cut(vmId: string): void;

  sweep(): void;
  /** Ends all streams; tasks stay as they are, for the next start. */
  stop(): Promise<void>;
}

export interface TaskManagerDeps {
  readonly book: TaskBook;
  readonly outputs: OutputStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  /** The pool of a VM of the fleet; undefined = there is no such VM. */
  readonly fleetPoolOf: (vmId: string) => string | undefined;
}

export interface TaskManagerOptions {
  readonly maxOpenPerVm: number;
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
  /** A task that is to be resumed waits so long for its agent. */
  readonly resumeMs: number;
}

export async function createTaskManager(
  deps: TaskManagerDeps,
  options: TaskManagerOptions,
): Promise<TaskManager> {
  const { book, outputs, clock, logger } = deps;
  const links = createAgentLinks();
  const open = new Map<string, OpenTask>();
  let stopped = false;

  const openTaskDeps = {
    book,
    clock,
    logger,
    linkOf: (vmId: string) => links.get(vmId),
    onEnded: (id: string) => void open.delete(id),
  };

  /** Tasks that an earlier process left open. */
  async function restore(): Promise<void> {
    for (const record of book.list({})) {
      if (isTaskFinal(record.state)) continue;
      const task = await enter(record, undefined);
      if (record.state === 'created') {
        if (environmentOf(record.work).length > 0)
          await task.end({
            state: 'failed',
            message:
              'the controller was restarted before it was sent, and the values of its environment are not kept',
          });
        else task.waitForAgent();
      } else if (record.resume) task.waitForReturn();
      else await task.end({ state: 'failed', message: 'agent disconnected: the controller was restarted' });
    }
    const known = new Set(book.list({}).map(({ id }) => id));
    for (const id of await outputs.list())
      if (id.startsWith('task-') && !known.has(id)) await outputs.remove(id);
  }

  async function enter(record: TaskRecord, work: TaskWork | undefined): Promise<OpenTask> {
    const flow = createOutputFlow(await outputs.open(record.id), record.holdOutput, clock);
    const task = createOpenTask(openTaskDeps, { id: record.id, work: work ?? record.work, flow }, options);
    open.set(record.id, task);
    return task;
  }

  /** As it is now: of an open task, the output is counted in the log. */
  function current(record: TaskRecord): TaskRecord {
    const log = open.get(record.id)?.flow.log;
    return log === undefined ? record : { ...record, outputBytes: log.bytes, outputCutBytes: log.cutBytes };
  }

  function poolOf(vmId: string): string | undefined {
    const link = links.get(vmId);
    return link === undefined || link.poolId === '' ? (deps.fleetPoolOf(vmId) ?? link?.poolId) : link.poolId;
  }

  await restore();
  return {
    async submit(request) {
      const { vmId, createdBy, idempotencyKey } = request;
      const before = idempotencyKey === undefined ? undefined : book.findByKey(createdBy, idempotencyKey);
      if (before !== undefined) {
        await book.added(before.id); // I1
        return current(book.get(before.id));
      }
      if (poolOf(vmId) === undefined) throw new UnknownAgentError(vmId);
      if (book.open(vmId).length >= options.maxOpenPerVm)
        throw new TooManyTasksError(vmId, options.maxOpenPerVm);
      const record: TaskRecord = {
        ...request,
        id: newId('task', clock.now(), deps.random),
        idempotencyKey,
        work: withoutSecrets(request.work), // I8
        state: 'created',
        createdAt: clock.now(),
        sentAt: undefined,
        finishedAt: undefined,
        cancelRequestedAt: undefined,
        exitCode: undefined,
        signal: undefined,
        message: undefined,
        containerId: undefined,
        containers: undefined,
        outputBytes: 0,
        outputCutBytes: 0,
      };
      await book.add(record); // I1
      logger.info(
        { event: 'task_created', taskId: record.id, vmId, work: describeWork(record.work) },
        'a task was submitted',
      );
      const task = await enter(record, request.work);
      task.waitForAgent();
      await task.dispatch();
      return current(book.get(record.id));
    },

    get: (id) => current(book.get(id)),
    list: (filter) => book.list(filter).map(current),

    async cancel(id) {
      const record = book.get(id);
      if (isTaskFinal(record.state)) throw new TaskEndedError(record);
      await open.get(id)?.cancel();
      return current(book.get(id));
    },

    async readOutput(id, from) {
      const record = book.get(id);
      const flow = open.get(id)?.flow;
      if (flow !== undefined) return flow.read(from);
      const ended = createOutputFlow(await outputs.open(record.id), false, clock);
      await ended.finish();
      return ended.read(from);
    },

    connect(link) {
      const older = links.open(link);
      if (older !== undefined) {
        for (const task of open.values()) task.agentGone(older);
        older.close('replaced'); // I11
      }
      logger.info(
        { event: 'agent_connected', agentId: link.agentId, features: [...link.features] },
        'an agent connected',
      );
      for (const task of open.values()) task.agentHere(link);
    },

    disconnect(link) {
      if (!links.close(link)) return;
      logger.info({ event: 'agent_disconnected', agentId: link.agentId }, 'the stream of an agent ended');
      if (stopped) return;
      for (const task of open.values()) task.agentGone(link);
    },

    receive(link, response) {
      const task = open.get(response.taskId);
      if (task === undefined || task.vmId !== link.agentId) {
        // It has ended here: the agent need not keep what it has to say of it.
        if (response.sequence > 0) {
          const { agentId } = link;
          link.send({ kind: 'ack', agentId, taskId: response.taskId, sequence: response.sequence });
        }
        return Promise.resolve();
      }
      const taken = task
        .take(link, response)
        .catch((error: unknown) =>
          logger.error(
            { taskId: response.taskId, reason: errorMessage(error) },
            'a response could not be recorded',
          ),
        );
      return link.features.has('ack') ? Promise.resolve() : taken;
    },

    poolOf,
    cut: (vmId) => links.get(vmId)?.close('released'),

    sweep() {
      for (const id of book.sweep()) {
        outputs
          .remove(id)
          .catch((error: unknown) =>
            logger.warn(
              { taskId: id, reason: errorMessage(error) },
              'the output of an old task could not be removed',
            ),
          );
      }
    },

    async stop() {
      stopped = true;
      for (const task of open.values()) task.halt();
      for (const link of links.all()) link.close('stopping');
      await Promise.all([...open.values()].map(({ flow }) => flow.finish()));
    },
  };
}
