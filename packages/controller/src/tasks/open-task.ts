/** One task that has not ended: what it waits for, and what becomes of what its agent says. */
import type { Clock } from '@mig/common/clock';
import type { TaskRecord, TaskWork } from '@mig/common/domain/task';
import type { TaskResponse } from '@mig/common/domain/task-messages';
import { isTaskFinal } from '@mig/common/domain/task-state';
import { errorMessage } from '@mig/common/errors';
import { formatDuration } from '@mig/common/config/duration';
import type { Logger } from '@mig/common/logger';
import type { AgentLink } from './agent-links.js';
import type { OutputFlow } from './output-flow.js';
import type { TaskBook } from './task-book.js';

/** How a task ended. */
export interface Ending extends Partial<
  Pick<TaskRecord, 'exitCode' | 'signal' | 'message' | 'containerId' | 'containers'>
> {
  readonly state: 'completed' | 'failed' | 'timeout' | 'cancelled';
}

export interface OpenTask {
  readonly vmId: string;
  readonly flow: OutputFlow;
  /** It fails if no agent takes it in its time. */
  waitForAgent(): void;
  /** It was sent in an earlier life of this process, and is to be resumed. */
  waitForReturn(): void;
  /** Sends it, if its agent is connected. */
  dispatch(): Promise<void>;
  /** Its agent's stream is open, if it is the agent of this task. */
  agentHere(link: AgentLink): void;
  agentGone(link: AgentLink): void;
  /** Resolves when the output is stored and its readers have room. */
  take(link: AgentLink, response: TaskResponse): Promise<void>;
  cancel(): Promise<void>;
  end(ending: Ending): Promise<void>;
  /** The controller stops: no timer fires any more. */
  halt(): void;
}

export interface OpenTaskDeps {
  readonly book: TaskBook;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly linkOf: (vmId: string) => AgentLink | undefined;
  readonly onEnded: (id: string) => void;
}

/** Most output that an agent sends unacknowledged. */
const WINDOW_BYTES = 512 * 1024;
/** It is acknowledged at least every so much. */
const ACK_BYTES = WINDOW_BYTES / 8;
/** Beyond its time, or the grace of its end, an agent is waited for so long. */
const SLACK_MS = 15_000;

export function createOpenTask(
  deps: OpenTaskDeps,
  task: { readonly id: string; readonly work: TaskWork; readonly flow: OutputFlow },
  options: { readonly graceMs: number; readonly resumeMs: number },
): OpenTask {
  const { book, clock, logger } = deps;
  const { id, flow } = task;
  const { vmId } = book.get(id);
  let timer: unknown;
  let resumeTimer: unknown;
  let chain: Promise<void> = Promise.resolve();
  let lastSequence = flow.log.lastSequence;
  let unacknowledged = 0;
  /** Its time has run out, by the controller's clock. */
  let timedOut = false;
  let ended = false;

  const record = (): TaskRecord => book.get(id);

  function arm(delayMs: number, action: () => void): void {
    clock.clearTimer(timer);
    timer = clock.setTimer(() => {
      if (!ended) action();
    }, delayMs);
  }

  function change(fields: Partial<TaskRecord>): Promise<void> {
    return book
      .change(id, fields)
      .catch((error: unknown) =>
        logger.warn({ taskId: id, reason: errorMessage(error) }, 'a task could not be stored yet'),
      );
  }

  async function end(ending: Ending): Promise<void> {
    if (ended) return;
    ended = true;
    clock.clearTimer(timer);
    clock.clearTimer(resumeTimer);
    flow.release();
    await flow.log.finish();
    const { bytes: outputBytes, cutBytes: outputCutBytes } = flow.log;
    const stored = change({ ...ending, finishedAt: clock.now(), outputBytes, outputCutBytes });
    logger.info(
      { event: 'task_ended', taskId: id, vmId, state: ending.state, exitCode: ending.exitCode },
      'a task has ended',
    );
    // Readers hear of the end when the record says it.
    await flow.finish();
    await stored;
    deps.onEnded(id);
  }

  const endSoon = (ending: Ending): void => void end(ending);

  /** Asks the agent to end it, and does not wait for ever. */
  function askToEnd(reason: string, ending: Ending): void {
    flow.release();
    deps.linkOf(vmId)?.send({ kind: 'cancel', agentId: vmId, taskId: id, reason });
    arm(options.graceMs + SLACK_MS, () => endSoon(ending));
  }

  function watchTime(link: AgentLink): void {
    const { timeoutMs, sentAt = clock.now() } = record();
    if (timeoutMs === 0) return;
    const slackMs = link.features.has('deadline') ? options.graceMs + SLACK_MS : 0;
    arm(Math.max(0, sentAt + timeoutMs - clock.now()) + slackMs, () => {
      timedOut = true;
      askToEnd(`its time of ${formatDuration(timeoutMs)} has run out`, {
        state: 'timeout',
        message: `its time of ${formatDuration(timeoutMs)} ran out, and its agent did not say that it ended it`,
      });
    });
  }

  async function dispatch(): Promise<void> {
    const link = deps.linkOf(vmId);
    if (link === undefined || ended || record().state !== 'created') return;
    // Whoever submitted it was an operator of the pool that the VM was in (I10).
    if (link.poolId !== '' && link.poolId !== record().poolId) {
      await end({ state: 'failed', message: `VM ${vmId} is in another pool than when it was submitted` });
      return;
    }
    const sent = book.change(id, { state: 'sent', sentAt: clock.now() });
    clock.clearTimer(timer);
    try {
      await sent;
    } catch (error) {
      // Nobody may learn of it later than of its effect.
      await end({ state: 'failed', message: `it was not sent: ${errorMessage(error)}` });
      return;
    }
    if (ended) return;
    if (record().cancelRequestedAt !== undefined) {
      await end({ state: 'cancelled', message: 'it was cancelled before it was sent' });
      return;
    }
    const { timeoutMs, resume } = record();
    const taken = link.send({
      kind: 'start',
      agentId: vmId,
      taskId: id,
      work: task.work,
      timeoutMs,
      graceMs: options.graceMs,
      resumeMs: resume ? options.resumeMs : 0,
      rawOutput: link.features.has('raw'),
      windowBytes: link.features.has('ack') ? WINDOW_BYTES : 0,
    });
    if (!taken || deps.linkOf(vmId) !== link) await end({ state: 'failed', message: 'agent disconnected' });
    else watchTime(link);
  }

  async function process(link: AgentLink, response: TaskResponse): Promise<void> {
    if (ended) return;
    if (record().state === 'sent') void change({ state: 'in_progress' });
    for (const { stream, data } of response.chunks) {
      await flow.append(stream, data, response.sequence);
      unacknowledged += data.length;
    }
    await flow.room();
    if (response.isFinal) await end(endingOf(response, record(), timedOut));
    if (response.sequence > 0 && (response.isFinal || unacknowledged >= ACK_BYTES))
      acknowledge(link, response);
  }

  function acknowledge(link: AgentLink, { sequence }: TaskResponse): void {
    unacknowledged = 0;
    link.send({ kind: 'ack', agentId: vmId, taskId: id, sequence });
  }

  function waitForReturn(): void {
    resumeTimer ??= clock.setTimer(
      () => endSoon({ state: 'failed', message: 'agent disconnected, and did not come back in time' }),
      options.resumeMs,
    );
  }

  return {
    vmId,
    flow,
    dispatch,
    end,
    waitForReturn,

    waitForAgent() {
      const { createdAt, deliveryTimeoutMs } = record();
      arm(Math.max(0, createdAt + deliveryTimeoutMs - clock.now()), () => {
        if (record().state !== 'created') return;
        endSoon({
          state: 'failed',
          message: `VM ${vmId} did not take it within ${formatDuration(deliveryTimeoutMs)}: look whether it is connected, and whether its MIGlet takes tasks (tasks.enabled)`,
        });
      });
    },

    agentHere(link) {
      if (link.agentId !== vmId || ended) return;
      if (record().state === 'created') {
        void dispatch();
        return;
      }
      if (resumeTimer === undefined) return;
      clock.clearTimer(resumeTimer);
      resumeTimer = undefined;
      // What it says of the task follows on this; or that it does not have it.
      link.send({ kind: 'ack', agentId: vmId, taskId: id, sequence: lastSequence });
      if (record().cancelRequestedAt === undefined) watchTime(link);
      else link.send({ kind: 'cancel', agentId: vmId, taskId: id, reason: 'cancelled' });
    },

    agentGone(link) {
      if (link.agentId !== vmId || ended || record().state === 'created') return;
      if (record().resume && link.features.has('deadline') && !timedOut) waitForReturn();
      else {
        // What came before the end of the stream is recorded first: its last word may be among it.
        flow.release();
        void chain.then(() => end({ state: 'failed', message: 'agent disconnected' }));
      }
    },

    take(link, response) {
      if (response.sequence > 0) {
        if (response.sequence <= lastSequence) {
          link.send({ kind: 'ack', agentId: vmId, taskId: id, sequence: lastSequence });
          return Promise.resolve();
        }
        lastSequence = response.sequence;
      }
      // An end that was asked for does not wait for a reader that reads no more.
      if (response.isFinal && (response.cancelled || response.timedOut)) flow.release();
      const taken = chain.then(() => process(link, response));
      chain = taken.catch(() => undefined);
      return taken;
    },

    async cancel() {
      const { state, cancelRequestedAt } = record();
      if (isTaskFinal(state) || cancelRequestedAt !== undefined) return;
      if (state === 'created') {
        await end({ state: 'cancelled', message: 'it was cancelled before it was sent' });
        return;
      }
      await change({ cancelRequestedAt: clock.now() });
      askToEnd('cancelled', {
        state: 'cancelled',
        message: 'it was cancelled, and its agent did not say that it ended it',
      });
    },

    halt() {
      ended = true;
      clock.clearTimer(timer);
      clock.clearTimer(resumeTimer);
    },
  };
}

/** What the last response says, and what was asked before, make one ending. */
function endingOf(response: TaskResponse, record: TaskRecord, timedOut: boolean): Ending {
  // A failure with exit code 0 is one that has none: it did not run, or nobody knows.
  const hasCode =
    response.about !== 'cancel' &&
    response.about !== 'none' &&
    !(response.status === 'failure' && response.exitCode === 0);
  const facts = {
    exitCode: hasCode ? response.exitCode : undefined,
    signal: response.signal || undefined,
    message: response.message || undefined,
    containerId: response.containerId || undefined,
    containers:
      record.work.kind === 'docker' && record.work.operation.kind === 'list'
        ? response.containers
        : undefined,
  };
  if (response.timedOut || timedOut) return { ...facts, state: 'timeout' };
  const cancelled =
    response.cancelled || (response.about === 'cancel' && record.cancelRequestedAt !== undefined);
  if (cancelled) return { ...facts, state: 'cancelled' };
  return {
    ...facts,
    state: response.status === 'completed' && response.exitCode === 0 ? 'completed' : 'failed',
  };
}
