/** What each VM and each operator may take of the controller, so that none takes what is the others'. */
import type { Clock } from '@mig/common/clock';
import { MigError } from '@mig/common/errors';
import { createBuckets, type Bucket } from './buckets.js';
import { createPenalties } from './penalties.js';

/** More than is allowed; in so long there is room again. */
export class TooMuchError extends MigError {
  constructor(
    who: string,
    what: string,
    readonly retryAfterMs: number,
  ) {
    super(
      'too-much',
      `${who} sends more than ${what}: try again in ${Math.max(1, Math.ceil(retryAfterMs / 1_000))} s`,
    );
  }
}

/** The pool has as many VMs as it may. */
export class PoolFullError extends MigError {
  constructor(
    readonly poolId: string,
    limit: number,
  ) {
    super(
      'pool-full',
      `pool ${poolId} has ${limit} VMs, the most it may (limits.vms_per_pool): another joins when one has ended or is lost`,
    );
  }
}

export interface LimitOptions {
  readonly vm_messages_per_second: number;
  readonly vm_message_burst: number;
  readonly vm_heartbeats_per_second: number;
  readonly vm_bytes_per_second: number;
  readonly vm_connects_per_minute: number;
  readonly operator_requests_per_second: number;
  readonly vms_per_pool: number;
}

/**
 * What one VM sends on its streams. Each `@throws TooMuchError`, and the VM is not taken for a while. Nothing is made by a message
 * that is within the limits.
 */
export interface MessageMeter {
  /** A message of so many bytes, before it is read. */
  count(bytes: number): void;
  /** It was a heartbeat. */
  heartbeat(): void;
  /** It was another. @returns milliseconds to wait before the next one is read: nobody's backlog is taken at the cost of the others */
  pace(): number;
}

type LimitName = 'messages' | 'heartbeats' | 'bytes' | 'connects' | 'penalties' | 'requests' | 'pools';

export interface Limits {
  /**
   * A message of a VM, over HTTP: counted together with those on its stream.
   * @returns 0, or, if it is more than is read at once, milliseconds until there is room: it is not to be taken
   * @throws TooMuchError, and the VM is not taken for a while
   */
  message(vmId: string, bytes: number, kind?: 'heartbeat'): number;
  /** Bytes of a message whose length was not known when it was counted. @throws TooMuchError */
  bytes(vmId: string, bytes: number): void;
  /** The messages of a VM on its stream. */
  meter(vmId: string): MessageMeter;
  /** A VM joins. @throws TooMuchError */
  join(vmId: string): void;
  /** A VM opens a stream. @throws TooMuchError, also if it was cut for too much, and is not taken yet */
  connect(vmId: string): void;
  /** Before anything that the VM sends is looked at. @throws TooMuchError if it was cut for too much, and is not taken yet */
  assertTaken(vmId: string): void;
  /** A VM makes a gRPC call, of any kind; as `assertTaken`, and counted. @throws TooMuchError */
  call(vmId: string): void;
  /** A request of an operator. @throws TooMuchError */
  request(operator: string): void;
  /** A VM that was not there appears. @throws PoolFullError */
  newVm(poolId: string): void;
  /** How often each was reached. */
  counts(): Readonly<Record<LimitName, number>>;
}

/** Connects that a VM may make at once: one that is started again and again by an init system. */
const CONNECT_BURST = 30;
/** … of them streams, within a moment. */
const CONNECTS_AT_ONCE = 30;
/** So many seconds' worth of heartbeats, of bytes, and of requests, at once. */
const HEARTBEATS_BURST_S = 2;
const BYTES_BURST_S = 32;
const REQUESTS_BURST_S = 2;
const COUNT_AGE_MS = 1_000;
/** What a VM has to tell at once is read at so many times the rate that it may keep up: a second's worth now, and then so many a second. */
const PACE = 1.25;
/** Shorter waits are not worth a timer. */
const MIN_WAIT_MS = 10;

/** @param countVms VMs of a pool that have not ended and are not lost; looked at once a second */
export function createLimits(
  { clock, countVms }: { readonly clock: Clock; readonly countVms: (poolId: string) => number },
  options: LimitOptions,
): Limits {
  const messages = createBuckets(clock, {
    perSecond: options.vm_messages_per_second,
    burst: options.vm_message_burst,
  });
  const heartbeats = createBuckets(clock, {
    perSecond: options.vm_heartbeats_per_second,
    burst: options.vm_heartbeats_per_second * HEARTBEATS_BURST_S,
  });
  const pace = createBuckets(clock, {
    perSecond: options.vm_messages_per_second * PACE,
    burst: options.vm_messages_per_second * PACE,
  });
  const bytesOf = createBuckets(clock, {
    perSecond: options.vm_bytes_per_second,
    burst: options.vm_bytes_per_second * BYTES_BURST_S,
  });
  const connects = createBuckets(clock, {
    perSecond: options.vm_connects_per_minute / 60,
    burst: Math.max(CONNECT_BURST, options.vm_connects_per_minute),
  });
  const connectsAtOnce = createBuckets(clock, {
    perSecond: Math.max(5, options.vm_connects_per_minute / 12),
    burst: Math.max(CONNECTS_AT_ONCE, options.vm_connects_per_minute / 2),
  });
  const calls = createBuckets(clock, {
    perSecond: options.vm_connects_per_minute / 30,
    burst: 2 * Math.max(CONNECT_BURST, options.vm_connects_per_minute),
  });
  const penalties = createPenalties(clock);
  let penalized = 0;
  const requests = createBuckets(clock, {
    perSecond: options.operator_requests_per_second,
    burst: options.operator_requests_per_second * REQUESTS_BURST_S,
  });
  const pools = new Map<string, { count: number; readonly untilMs: number }>();
  let poolsRefused = 0;

  /** @throws TooMuchError, and takes the VM no more for a while */
  function assertWithin(waitMs: number, vmId: string, what: string): void {
    if (waitMs > 0) throw new TooMuchError(`VM ${vmId}`, what, Math.max(waitMs, penalties.add(vmId)));
  }
  const messageLimit = `${options.vm_messages_per_second} messages a second`;
  const heartbeatLimit = `${options.vm_heartbeats_per_second} heartbeats a second`;
  const byteLimit = `${options.vm_bytes_per_second} bytes a second`;
  const connectLimit = `${options.vm_connects_per_minute} connects a minute`;
  const assertBytes = (vmId: string, bytes: number): void =>
    assertWithin(bytesOf.take(vmId, bytes), vmId, byteLimit);
  const assertConnect = (vmId: string): void => assertWithin(connects.take(vmId), vmId, connectLimit);

  function assertTaken(vmId: string): void {
    const leftMs = penalties.leftMs(vmId);
    if (leftMs === 0) return;
    penalized += 1;
    throw new TooMuchError(`VM ${vmId}`, 'it may', leftMs);
  }

  class Meter implements MessageMeter {
    readonly #vmId: string;
    readonly #messages: Bucket;
    readonly #heartbeats: Bucket;
    readonly #bytes: Bucket;
    readonly #pace: Bucket;

    constructor(vmId: string) {
      this.#vmId = vmId;
      this.#messages = messages.of(vmId);
      this.#heartbeats = heartbeats.of(vmId);
      this.#bytes = bytesOf.of(vmId);
      this.#pace = pace.of(vmId);
    }

    count(bytes: number): void {
      const nowMs = clock.monotonicMs();
      assertWithin(this.#messages.take(1, nowMs), this.#vmId, messageLimit);
      assertWithin(this.#bytes.take(bytes, nowMs), this.#vmId, byteLimit);
    }

    heartbeat(): void {
      assertWithin(this.#heartbeats.take(1, clock.monotonicMs()), this.#vmId, heartbeatLimit);
    }

    pace(): number {
      const waitMs = this.#pace.draw(1, clock.monotonicMs());
      return waitMs === 0 ? 0 : Math.max(MIN_WAIT_MS, waitMs);
    }
  }

  return {
    message(vmId, bytes, kind) {
      assertWithin(messages.take(vmId), vmId, messageLimit);
      if (kind === 'heartbeat') assertWithin(heartbeats.take(vmId), vmId, heartbeatLimit);
      assertBytes(vmId, bytes);
      // The latest counts: there is no backlog of heartbeats, and who sends many is cut.
      return kind === 'heartbeat' ? 0 : pace.take(vmId);
    },
    bytes: assertBytes,
    meter: (vmId) => new Meter(vmId),
    join: assertConnect,
    connect(vmId) {
      // Who brings no session is known by now only.
      assertTaken(vmId);
      assertConnect(vmId);
      assertWithin(connectsAtOnce.take(vmId), vmId, connectLimit);
    },
    assertTaken,
    call(vmId) {
      assertTaken(vmId);
      assertWithin(calls.take(vmId), vmId, connectLimit);
    },
    request(operator) {
      const waitMs = requests.take(operator);
      if (waitMs > 0)
        throw new TooMuchError(
          `operator ${operator}`,
          `${options.operator_requests_per_second} requests a second`,
          waitMs,
        );
    },
    newVm(poolId) {
      const nowMs = clock.monotonicMs();
      let pool = pools.get(poolId);
      if (pool === undefined || pool.untilMs <= nowMs) {
        if (pools.size > 10_000) pools.clear();
        pool = { count: countVms(poolId), untilMs: nowMs + COUNT_AGE_MS };
        pools.set(poolId, pool);
      }
      if (pool.count >= options.vms_per_pool) {
        poolsRefused += 1;
        throw new PoolFullError(poolId, options.vms_per_pool);
      }
      pool.count += 1;
    },
    counts: () => ({
      messages: messages.refusedCount,
      heartbeats: heartbeats.refusedCount,
      bytes: bytesOf.refusedCount,
      connects: connects.refusedCount + connectsAtOnce.refusedCount + calls.refusedCount,
      penalties: penalized,
      requests: requests.refusedCount,
      pools: poolsRefused,
    }),
  };
}
