/**
 * `CommandService.StreamCommands`: one MIGlet's stream, from its `connect` to its end.
 *
 * The first message is `connect`, and there is only one; every id is checked before it becomes a path or a key (I10); a VM
 * speaks only for itself (I10). What breaks this ends its own stream, with a status that says what was wrong, and nothing
 * else. What the stream carries is handed to the fleet, the event log and the command queue; this folder decides nothing.
 *
 * It is served without promises and without anything made for each message (grpc/call.ts): a fleet sends thousands of heartbeats a
 * second. command-stream.ts is one stream, take-message.ts what its messages do.
 */
import { ServerError, Status } from 'nice-grpc';
import type { Logger } from '@mig/common/logger';
import { HeartbeatReader } from '@mig/common/wire/heartbeat-reader';
import type { CommandQueue } from '../commands/command-queue.js';
import type { Delivery } from '../commands/delivery.js';
import type { Deregistration } from '../commands/deregistration.js';
import type { AutoRegistration } from '../commands/registration.js';
import type { Limits } from '../auth/limits/limits.js';
import type { Door } from '../door/door.js';
import type { EventLog } from '../fleet/event-log.js';
import type { Feed } from '../fleet/feed.js';
import type { Fleet } from '../fleet/fleet.js';
import type { Links } from '../fleet/links.js';
import type { OpenCall } from '../grpc/call.js';
import { CommandStream } from './command-stream.js';
import { STOPPING_MESSAGE } from './farewell.js';
import type { InFlight } from './in-flight.js';
import type { FailureLog } from './middleware/log-failures.js';
import type { Sessions } from './sessions.js';
import type { StreamAdmission } from './stream-admission.js';

export interface CommandServiceDeps {
  readonly fleet: Fleet;
  readonly links: Links;
  readonly events: EventLog;
  readonly queue: CommandQueue;
  readonly delivery: Delivery;
  readonly autoRegistration: AutoRegistration;
  readonly deregistration: Deregistration;
  readonly feed: Feed;
  readonly logger: Logger;
  readonly version: string;
  /** The shortest time between two heartbeats that each MIGlet is asked to keep. */
  readonly heartbeatIntervalMs: () => number;
  /** Over how long the MIGlets come back if their streams break without a word. */
  readonly reconnectWindowMs: () => number;
  /** Aborted when the controller begins to stop: from then on no stream is taken. */
  readonly stopping: AbortSignal;
  /** What has to be stored and answered before the controller ends. */
  readonly inFlight: InFlight;
  readonly admission: StreamAdmission;
  readonly sessions: Sessions;
  readonly limits: Pick<Limits, 'meter'>;
  /** A peer that was refused for too much loses its connection. */
  readonly door: Pick<Door, 'refuse'>;
  readonly failures: FailureLog;
  readonly now: () => number;
}

/** What all streams have in common. */
export interface CommandStreamShared extends CommandServiceDeps {
  /** Streams that have not said whose they are, and when they are let go, by Node's own clock: in the order of their coming. */
  readonly silent: Map<CommandStream, number>;
  readonly heartbeats: HeartbeatReader;
}

/** A peer that opens a stream and says nothing is let go after this. */
const CONNECT_TIMEOUT_MS = 30_000;

export function createCommandService(deps: CommandServiceDeps): OpenCall {
  const silent = new Map<CommandStream, number>();
  const shared: CommandStreamShared = { ...deps, silent, heartbeats: new HeartbeatReader() };
  let timer: NodeJS.Timeout | undefined;

  /** One timer for all. */
  function letGo(): void {
    timer = undefined;
    for (const [stream, dueMs] of silent) {
      const leftMs = dueMs - performance.now();
      if (leftMs > 0) {
        timer = setTimeout(letGo, leftMs).unref();
        return;
      }
      stream.refuse(
        new ServerError(Status.DEADLINE_EXCEEDED, `no connect message within ${CONNECT_TIMEOUT_MS / 1000} s`),
      );
    }
  }

  deps.stopping.addEventListener(
    'abort',
    () => {
      for (const stream of [...silent.keys()])
        stream.refuse(new ServerError(Status.UNAVAILABLE, STOPPING_MESSAGE));
    },
    { once: true },
  );

  return (call) => {
    const stream = new CommandStream(call, shared);
    silent.set(stream, performance.now() + CONNECT_TIMEOUT_MS);
    if (deps.stopping.aborted) stream.refuse(new ServerError(Status.UNAVAILABLE, STOPPING_MESSAGE));
    else timer ??= setTimeout(letGo, CONNECT_TIMEOUT_MS).unref();
    return stream;
  };
}
