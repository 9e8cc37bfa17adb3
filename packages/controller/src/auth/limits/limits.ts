/** What each VM and each operator may take of the controller, so that none takes what is the others'. */
import type { Clock } from '@mig/common/clock';
import { MigError } from '@mig/common/errors';
import { createBuckets, type Bucket } from './buckets.js';

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
  readonly vm_bytes_per_second: number;
  readonly vm_connects_per_minute: number;
  readonly operator_requests_per_second: number;
  readonly vms_per_pool: number;
}

/** What one VM sends. */
export interface MessageMeter {
  /** A message of so many bytes. @throws TooMuchError */
  count(bytes: number): void;
}

export interface Limits {
  /** A message of a VM, over HTTP. @throws TooMuchError */
  message(vmId: string, bytes: number): void;
  /** The messages of a VM on its stream: they count together with those over HTTP. */
  meter(vmId: string): MessageMeter;
  /** A VM opens a stream. @throws TooMuchError */
  connect(vmId: string): void;
  /** A request of an operator. @throws TooMuchError */
  request(operator: string): void;
  /** A VM that was not there appears. @throws PoolFullError */
  newVm(poolId: string): void;
  /** How often each was reached. */
  counts(): Readonly<Record<'messages' | 'bytes' | 'connects' | 'requests' | 'pools', number>>;
}

/** Connects that a VM may make at once: one that is started again and again by an init system. */
const CONNECT_BURST = 30;
/** So many seconds' worth of bytes, and of requests, at once. */
const BYTES_BURST_S = 32;
const REQUESTS_BURST_S = 2;
const COUNT_AGE_MS = 1_000;

/** @param countVms VMs of a pool that have not ended and are not lost; looked at once a second */
export function createLimits(
  { clock, countVms }: { readonly clock: Clock; readonly countVms: (poolId: string) => number },
  options: LimitOptions,
): Limits {
  const messages = createBuckets(clock, {
    perSecond: options.vm_messages_per_second,
    burst: options.vm_message_burst,
  });
  const bytesOf = createBuckets(clock, {
    perSecond: options.vm_bytes_per_second,
    burst: options.vm_bytes_per_second * BYTES_BURST_S,
  });
  const connects = createBuckets(clock, {
    perSecond: options.vm_connects_per_minute / 60,
    burst: Math.max(CONNECT_BURST, options.vm_connects_per_minute),
  });
  const requests = createBuckets(clock, {
    perSecond: options.operator_requests_per_second,
    burst: options.operator_requests_per_second * REQUESTS_BURST_S,
  });
  const pools = new Map<string, { count: number; readonly untilMs: number }>();
  let poolsRefused = 0;

  function assertTaken(waitMs: number, who: string, what: string): void {
    if (waitMs > 0) throw new TooMuchError(who, what, waitMs);
  }

  class Meter implements MessageMeter {
    readonly #vmId: string;
    readonly #messages: Bucket;
    readonly #bytes: Bucket;

    constructor(vmId: string) {
      this.#vmId = vmId;
      this.#messages = messages.of(vmId);
      this.#bytes = bytesOf.of(vmId);
    }

    count(bytes: number): void {
      const nowMs = clock.monotonicMs();
      const waitMs = this.#messages.take(1, nowMs);
      if (waitMs > 0) this.#refuse(`${options.vm_messages_per_second} messages a second`, waitMs);
      const bytesWaitMs = this.#bytes.take(bytes, nowMs);
      if (bytesWaitMs > 0) this.#refuse(`${options.vm_bytes_per_second} bytes a second`, bytesWaitMs);
    }

    #refuse(what: string, waitMs: number): never {
      throw new TooMuchError(`VM ${this.#vmId}`, what, waitMs);
    }
  }

  return {
    message: (vmId, bytes) => new Meter(vmId).count(bytes),
    meter: (vmId) => new Meter(vmId),
    connect: (vmId) =>
      assertTaken(connects.take(vmId), `VM ${vmId}`, `${options.vm_connects_per_minute} connects a minute`),
    request: (operator) =>
      assertTaken(
        requests.take(operator),
        `operator ${operator}`,
        `${options.operator_requests_per_second} requests a second`,
      ),
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
      bytes: bytesOf.refusedCount,
      connects: connects.refusedCount,
      requests: requests.refusedCount,
      pools: poolsRefused,
    }),
  };
}
