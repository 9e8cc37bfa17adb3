/** The stream of `TaskService`: opened, kept, and opened again when it breaks. A connection of its own, beside that of the commands. */
import { ClientError, Metadata, Status, createChannel, createClient, type Client } from 'nice-grpc';
import { backoffDelayMs } from '@mig/common/backoff';
import type { Clock } from '@mig/common/clock';
import { AGENT_FEATURES, type TaskRequest, type TaskResponse } from '@mig/common/domain/task-messages';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { MAX_MESSAGE_BYTES } from '@mig/common/wire/command-service';
import { taskServiceDefinition } from '@mig/common/wire/task-service';
import { noteRefusal, tokenOf, type ControllerAccess } from '../controller-link/access.js';
import { closeChannel } from '../controller-link/close-channel.js';
import { channelTarget } from '../controller-link/link-tls.js';
import type { ResponseQueue } from './response-queue.js';

export interface TaskLinkOptions {
  readonly agentId: string;
  readonly access: ControllerAccess;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly reconnect: { readonly firstMs: number; readonly maxMs: number; readonly minimumUptimeMs: number };
}

export interface TaskLinkDeps {
  readonly queue: ResponseQueue;
  readonly onRequest: (request: TaskRequest) => void;
  readonly onUp: () => void;
  readonly onDown: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface TaskLink {
  /** Ends the stream in order and opens no other; resolves when it has ended, at the latest after 2 s. */
  close(): Promise<void>;
}

const CLOSE_MS = 2_000;

export function openTaskLink(deps: TaskLinkDeps, options: TaskLinkOptions): TaskLink {
  const { queue, clock, logger } = deps;
  const { access } = options;
  let closing = false;
  let abort = new AbortController();
  let wake = (): void => undefined;
  let wakeSleep = (): void => undefined;
  queue.onReady(() => wake());

  async function* outgoing(isOver: () => boolean): AsyncGenerator<TaskResponse> {
    for (;;) {
      const response = isOver() ? undefined : queue.take();
      if (response !== undefined) yield response;
      else if (isOver() || closing) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  /** @returns why it ended */
  async function session(endpoint: string): Promise<string> {
    abort = new AbortController();
    let token: string | undefined;
    let target: ReturnType<typeof channelTarget>;
    try {
      token = await tokenOf(access, abort.signal);
      target = channelTarget(endpoint, access.tls());
    } catch (error) {
      return errorMessage(error);
    }
    if (closing) return 'the MIGlet ends';
    const channel = createChannel(...target, {
      'grpc.keepalive_time_ms': options.keepaliveMs,
      'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs,
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc.enable_retries': 0,
      'grpc.enable_channelz': 0,
      // Output that waits for its reader must not keep the commands waiting.
      'grpc.use_local_subchannel_pool': 1,
    });
    const client: Client<typeof taskServiceDefinition> = createClient(taskServiceDefinition, channel);
    let up = false;
    let over = false;
    const goUp = (): void => {
      if (up || over) return;
      up = true;
      logger.info({ event: 'tasks_connected', endpoint }, 'the stream of tasks is open');
      deps.onUp();
    };
    // Before anything goes out on it: a response that went ahead of an older one would make that a repetition.
    queue.rewind();
    try {
      const metadata = Metadata({
        agent_id: options.agentId,
        ...(token === undefined ? {} : { agent_token: token }),
        agent_features: AGENT_FEATURES.join(','),
      });
      const requests = client.streamTasks(
        outgoing(() => over),
        { metadata, signal: abort.signal, onHeader: goUp },
      );
      for await (const request of requests) {
        // A controller of the original contract may send no header before.
        goUp();
        deps.onRequest(request);
      }
      return 'the controller ended the stream';
    } catch (error) {
      noteRefusal(access, error, token);
      return error instanceof ClientError ? `${Status[error.code]}: ${error.details}` : errorMessage(error);
    } finally {
      over = true;
      wake();
      closeChannel(channel);
      if (up) deps.onDown();
    }
  }

  const pause = (delayMs: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = clock.setTimer(resolve, delayMs);
      wakeSleep = () => {
        clock.clearTimer(timer);
        resolve();
      };
    });

  async function keepOpen(): Promise<void> {
    let failures = 0;
    while (!closing) {
      const endpoint = access.endpoint();
      const startedAtMs = clock.monotonicMs();
      const reason = await session(endpoint);
      if (closing) return;
      const uptimeMs = clock.monotonicMs() - startedAtMs;
      failures = uptimeMs >= options.reconnect.minimumUptimeMs ? 0 : failures;
      const delayMs = backoffDelayMs(options.reconnect, failures, deps.random);
      failures += 1;
      logger.warn({ event: 'tasks_disconnected', reason, delayMs }, 'there is no stream of tasks');
      await pause(delayMs);
    }
  }

  const ended = keepOpen();
  return {
    async close() {
      closing = true;
      wake();
      wakeSleep();
      const timer = setTimeout(() => abort.abort(), CLOSE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}
