/**
 * Runs one task and shows its output as it comes. Ctrl-C cancels it, and waits until the VM says that it has ended; so does a
 * reader of the output that goes away.
 */
import { gapEventSchema, outputEventSchema, taskSchema } from '@mig/common/api/task-resource';
import type { CreateTaskBody, TaskResource } from '@mig/common/api/task-resource';
import { readEventStream } from '../api/event-stream.js';
import { cancelTask, createTask, taskPath } from '../api/task-calls.js';
import { CliError, EXIT } from '../errors.js';
import type { Session } from '../session.js';

export interface TaskSink {
  /** Resolves when there is room for more. */
  write(stream: 'stdout' | 'stderr', data: string | Uint8Array): Promise<void>;
  /** So much is missing here. */
  gap(bytes: number): void;
}

export interface TaskRun {
  readonly task: TaskResource;
  /** By Ctrl-C, or because nobody reads the output any more. */
  readonly interrupted: boolean;
}

/** A task that was cancelled is waited for so long. */
const END_MS = 45_000;
const REQUEST_MS = 10_000;

/**
 * @param onCreated told of the task as soon as there is one
 * @throws CliError if the controller refuses it, or goes away for long
 */
export async function runTask(
  session: Session,
  body: CreateTaskBody,
  sink: TaskSink,
  onCreated: (task: TaskResource) => void = () => undefined,
): Promise<TaskRun> {
  const { io, client } = session;
  const created = await createTask(client, body, io.newKey());
  onCreated(created);
  const giveUp = new AbortController();
  let interrupted = false;
  const interrupt = (): void => {
    if (interrupted) return;
    interrupted = true;
    setTimeout(() => giveUp.abort(), END_MS).unref();
    // Ctrl-C stops every other request; the one that cancels must go out.
    const uninterrupted = new AbortController().signal;
    const canceller = session.clientWith({ interrupted: uninterrupted, requestTimeoutMs: REQUEST_MS });
    cancelTask(canceller, created.id).catch((error: unknown) => {
      // One that has ended meanwhile says so itself; of a controller that is away nobody hears more.
      if (!(error instanceof CliError) || error.code !== 'refused') giveUp.abort();
    });
  };
  const causes = [io.interrupted, io.stdout.closed];
  for (const cause of causes) {
    if (cause.aborted) interrupt();
    cause.addEventListener('abort', interrupt, { once: true });
  }
  try {
    const events = readEventStream({ session, signal: giveUp.signal }, `${taskPath(created.id)}/output`);
    for await (const { type, data } of events) {
      const value: unknown = JSON.parse(data);
      if (type === 'output') {
        const { stream, text, base64 } = outputEventSchema.parse(value);
        await sink.write(stream, text ?? Buffer.from(base64 ?? '', 'base64'));
      } else if (type === 'gap') sink.gap(gapEventSchema.parse(value).cut_bytes);
      else if (type === 'end') return { task: taskSchema.parse(value), interrupted };
    }
    throw new CliError(
      'not-ended',
      `task ${created.id} was cancelled, and VM ${created.vm_id} did not say that it has ended`,
      EXIT.interrupted,
    );
  } finally {
    for (const cause of causes) cause.removeEventListener('abort', interrupt);
  }
}
