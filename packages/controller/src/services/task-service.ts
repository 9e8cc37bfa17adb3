/**
 * `TaskService.StreamTasks`: one agent's stream. Who it is stands in the metadata; it sends no hello.
 *
 * An agent speaks only for itself (I10), one stream at a time (I11). It is read only as fast as what it says is taken (I12).
 */
import { ServerError, Status, type CallContext, type ServiceImplementation } from 'nice-grpc';
import { newId } from '@mig/common/domain/ids';
import { AGENT_FEATURES, type AgentMessage, type TaskRequest } from '@mig/common/domain/task-messages';
import { printable } from '@mig/common/errors';
import type { taskServiceDefinition } from '@mig/common/wire/task-service';
import type { AgentLink } from '../tasks/agent-links.js';
import type { TaskManager } from '../tasks/task-manager.js';
import type { AgentAdmission } from './agent-admission.js';
import { STOPPING_MESSAGE } from './farewell.js';
import { createOutbox } from './outbox.js';

export interface TaskServiceDeps {
  readonly tasks: TaskManager;
  readonly agents: AgentAdmission;
  /** Aborted when the controller begins to stop: from then on no stream is taken. */
  readonly stopping: AbortSignal;
  readonly now: () => number;
}

/** Messages that wait for an agent that does not read; at the limit its stream is ended (RESOURCE_EXHAUSTED). */
const OUTBOX_LIMIT = 10_000;

export function createTaskService(
  deps: TaskServiceDeps,
): ServiceImplementation<typeof taskServiceDefinition> {
  const { tasks, agents, stopping } = deps;
  return {
    async *streamTasks(incoming: AsyncIterable<AgentMessage>, context: CallContext) {
      if (stopping.aborted) throw new ServerError(Status.UNAVAILABLE, STOPPING_MESSAGE);
      const { agentId, poolId } = await agents.agent(context);
      const outbox = createOutbox<TaskRequest>(OUTBOX_LIMIT);
      const link: AgentLink = {
        agentId,
        poolId,
        sessionId: newId('session', deps.now()),
        features: featuresOf(context),
        send(request) {
          if (outbox.push(request)) return true;
          outbox.close(
            new ServerError(
              Status.RESOURCE_EXHAUSTED,
              `agent ${agentId} does not read: ${OUTBOX_LIMIT} messages wait`,
            ),
          );
          return false;
        },
        close(reason) {
          outbox.close(closeError(agentId, reason), reason === 'stopping' ? 'flush' : undefined);
        },
      };
      context.signal.addEventListener('abort', () => outbox.close(), { once: true });
      // The agent hears that it was taken, though there may be no task for hours. An empty header would not be sent.
      context.header.set('session_id', link.sessionId);
      context.sendHeader();
      tasks.connect(link);
      const messages = incoming[Symbol.asyncIterator]();
      const reading = read(messages, link, tasks).then(
        () => outbox.close(),
        (error: unknown) => outbox.close(error instanceof Error ? error : new Error(String(error))),
      );
      try {
        yield* outbox;
      } finally {
        outbox.close();
        tasks.disconnect(link);
        void messages.return?.();
        void reading;
      }
    },
  };
}

function closeError(agentId: string, reason: Parameters<AgentLink['close']>[0]): ServerError {
  switch (reason) {
    case 'replaced':
      return new ServerError(Status.ABORTED, `a newer stream of agent ${agentId} has taken its place`);
    case 'released':
      return new ServerError(Status.PERMISSION_DENIED, `VM ${agentId} was released by an operator`);
    case 'stopping':
      return new ServerError(Status.UNAVAILABLE, STOPPING_MESSAGE);
  }
}

async function read(
  messages: AsyncIterator<AgentMessage>,
  link: AgentLink,
  tasks: TaskManager,
): Promise<void> {
  for (;;) {
    const next = await messages.next();
    if (next.done === true) return;
    const message = next.value;
    if (message.kind === 'malformed')
      throw new ServerError(Status.INVALID_ARGUMENT, `a message could not be decoded: ${message.reason}`);
    if (message.agentId !== '' && message.agentId !== link.agentId) {
      throw new ServerError(
        Status.PERMISSION_DENIED,
        `this is the stream of agent ${link.agentId}; it cannot speak for ${JSON.stringify(printable(message.agentId))}`,
      );
    }
    await tasks.receive(link, message);
  }
}

function featuresOf({ metadata }: CallContext): AgentLink['features'] {
  const named = (metadata.get('agent_features') ?? '').split(',');
  return new Set(AGENT_FEATURES.filter((feature) => named.includes(feature)));
}
