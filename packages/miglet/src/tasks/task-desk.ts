/**
 * The tasks of this VM: takes what the controller asks, runs it beside what runs already, and answers as it goes.
 *
 * A task runs once, however often it is asked for. It ends by itself, by its time, by a cancellation, or because its stream
 * broke and did not come back in the time that it was given. The first cause of its ending counts.
 */
import type { Clock } from '@mig/common/clock';
import { describeWork, withoutSecrets } from '@mig/common/domain/task';
import type { StartTask, TaskRequest } from '@mig/common/domain/task-messages';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { refusalOf, type AllowList } from './allow-list.js';
import type { ResponseDraft, ResponseQueue, TaskChannel } from './response-queue.js';
import { failed, type TaskOutput, type TaskResult } from './task-output.js';

/** Runs one piece of work to its end; never rejects. */
export type RunWork = (
  request: StartTask,
  context: { readonly graceMs: number; readonly output: TaskOutput; readonly signal: AbortSignal },
) => Promise<TaskResult>;

export interface TaskDeskOptions {
  readonly agentId: string;
  /** Between SIGTERM and SIGKILL, for a task that does not say it. */
  readonly graceMs: number;
  /** A task more is refused. */
  readonly maxTasks: number;
  readonly allow: AllowList;
}

export interface TaskDesk {
  take(request: TaskRequest): void;
  /** There is a stream again. */
  connected(): void;
  /** The stream broke: tasks that cannot wait for the next end. */
  disconnected(): void;
  readonly runningCount: number;
  /** Ends all tasks; resolves when they have ended. */
  stop(reason: string): Promise<void>;
}

export interface TaskDeskDeps {
  readonly queue: ResponseQueue;
  readonly run: RunWork;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Cause =
  | { readonly kind: 'cancelled'; readonly reason: string }
  | { readonly kind: 'timedOut' }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'stopping'; readonly reason: string };

interface Task {
  readonly request: StartTask;
  readonly channel: TaskChannel;
  readonly abort: AbortController;
  cause: Cause | undefined;
  resumeTimer: unknown;
  finished: Promise<void>;
}

/** Ids of ended tasks that are remembered, so that a repetition does not run again. */
const MAX_REMEMBERED = 1_000;
/** Longest grace: 1 hour. */
const MAX_GRACE_MS = 3_600_000;

export function createTaskDesk(deps: TaskDeskDeps, options: TaskDeskOptions): TaskDesk {
  const { queue, run, clock, logger } = deps;
  const tasks = new Map<string, Task>();
  const remembered = new Set<string>();
  let running = 0;

  const draft = (taskId: string, fields: Partial<ResponseDraft>): ResponseDraft => ({
    kind: 'response',
    agentId: options.agentId,
    taskId,
    status: 'in_progress',
    isFinal: false,
    cancelled: false,
    timedOut: false,
    message: '',
    chunks: [],
    exitCode: 0,
    signal: '',
    containerId: '',
    containers: [],
    about: 'none',
    ...fields,
  });

  /** An answer about a task that is not here. */
  function answer(taskId: string, about: ResponseDraft['about'], message: string): void {
    const channel = queue.open(0);
    void channel
      .send(draft(taskId, { status: 'failure', isFinal: true, about, message }))
      .then(() => channel.close());
  }

  function start(request: StartTask): void {
    const { taskId, work } = request;
    if (tasks.has(taskId) || remembered.has(taskId)) {
      logger.info({ taskId }, 'a task that was taken before was asked for again');
      return;
    }
    const about = work.kind;
    const refusal =
      running >= options.maxTasks
        ? `this VM runs ${running} tasks, as many as tasks.max_parallel of its MIGlet allows: try again when one has ended`
        : refusalOf(work, options.allow);
    if (refusal !== undefined) {
      remember(taskId);
      logger.warn({ taskId, reason: refusal }, 'a task was refused');
      answer(taskId, about, refusal);
      return;
    }
    logger.info({ event: 'task_started', taskId, work: describeWork(withoutSecrets(work)) }, 'a task starts');
    const task: Task = {
      request,
      channel: queue.open(request.windowBytes),
      abort: new AbortController(),
      cause: undefined,
      resumeTimer: undefined,
      finished: Promise.resolve(),
    };
    tasks.set(taskId, task);
    task.finished = perform(task);
  }

  async function perform(task: Task): Promise<void> {
    const { request, channel } = task;
    const { taskId, timeoutMs } = request;
    const about = request.work.kind;
    running += 1;
    const timer =
      timeoutMs === 0 ? undefined : clock.setTimer(() => end(task, { kind: 'timedOut' }), timeoutMs);
    // The controller hears that it runs before it hears anything of it.
    void channel.send(draft(taskId, { about }));
    const output: TaskOutput = {
      write: (stream, data) => channel.send(draft(taskId, { about, chunks: [{ stream, data }] })),
    };
    const graceMs = Math.min(request.graceMs || options.graceMs, MAX_GRACE_MS);
    const result = await run(request, { graceMs, output, signal: task.abort.signal }).catch(
      (error: unknown) => failed(errorMessage(error)),
    );
    clock.clearTimer(timer);
    running -= 1;
    const final = { ...draft(taskId, { about, isFinal: true }), ...toFinal(result, task.cause) };
    logger.info(
      { event: 'task_ended', taskId, exitCode: result.exitCode, reason: final.message },
      'a task has ended',
    );
    void channel.send(final);
    await channel.settled();
    clock.clearTimer(task.resumeTimer);
    channel.close();
    tasks.delete(taskId);
    remember(taskId);
  }

  function end(task: Task, cause: Cause): void {
    if (task.cause !== undefined) return;
    task.cause = cause;
    task.abort.abort();
  }

  function remember(taskId: string): void {
    remembered.add(taskId);
    for (const oldest of remembered) {
      if (remembered.size <= MAX_REMEMBERED) break;
      remembered.delete(oldest);
    }
  }

  /** Nobody will hear of it any more. */
  function abandon(task: Task): void {
    end(task, { kind: 'disconnected' });
    task.channel.close();
  }

  return {
    take(request) {
      switch (request.kind) {
        case 'start':
          start(request);
          return;
        case 'cancel': {
          const { taskId, reason } = request;
          const task = tasks.get(taskId);
          if (task === undefined) {
            answer(taskId, 'cancel', 'this agent does not run the task');
            return;
          }
          logger.info({ taskId, reason }, 'a task is cancelled');
          void task.channel.send(draft(taskId, { about: 'cancel', message: 'the task is being ended' }));
          end(task, { kind: 'cancelled', reason });
          return;
        }
        case 'ack': {
          const task = tasks.get(request.taskId);
          if (task !== undefined) task.channel.acknowledge(request.sequence);
          else if (!remembered.has(request.taskId))
            answer(request.taskId, 'none', 'this agent does not have the task: it was restarted');
          return;
        }
        case 'unknown':
          if (request.taskId !== '')
            answer(request.taskId, 'none', 'this agent does not know this kind of task: update it');
          return;
        case 'malformed':
          logger.warn({ reason: request.reason }, 'a task request could not be decoded');
      }
    },

    connected() {
      for (const task of tasks.values()) {
        clock.clearTimer(task.resumeTimer);
        task.resumeTimer = undefined;
      }
    },

    disconnected() {
      for (const task of tasks.values()) {
        const { resumeMs } = task.request;
        if (resumeMs === 0) abandon(task);
        else task.resumeTimer ??= clock.setTimer(() => abandon(task), resumeMs);
      }
    },

    get runningCount() {
      return running;
    },

    async stop(reason) {
      for (const task of tasks.values()) end(task, { kind: 'stopping', reason });
      await Promise.all([...tasks.values()].map(({ finished }) => finished));
    },
  };
}

/** What the last response says of how it ended. */
function toFinal(result: TaskResult, cause: Cause | undefined): Partial<ResponseDraft> {
  const { exitCode, signal, containerId = '', containers = [] } = result;
  const common = { exitCode, signal, containerId, containers };
  switch (cause?.kind) {
    case undefined:
      return { ...common, status: result.success ? 'completed' : 'failure', message: result.message };
    case 'cancelled':
      return { ...common, status: 'failure', cancelled: true, message: cause.reason || 'cancelled' };
    case 'timedOut':
      return { ...common, status: 'failure', timedOut: true, message: 'its time had run out' };
    case 'disconnected':
      return { ...common, status: 'failure', message: 'agent disconnected' };
    case 'stopping':
      return { ...common, status: 'failure', message: cause.reason };
  }
}
