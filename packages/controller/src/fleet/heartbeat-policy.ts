/**
 * The shortest interval between heartbeats that the controller asks of its MIGlets, so that all of them together keep to a
 * rate, however the fleet grows.
 *
 * Every MIGlet is told when it connects. When the fleet has grown or shrunk so much that the interval changes by more than a
 * fifth, those that are connected are told the new one, a slice at a time: until then the rate is exceeded by a fifth at most.
 * A legacy MIGlet cannot be told, but counts.
 */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { Links } from './links.js';

export interface HeartbeatPolicy {
  /** What a MIGlet that connects now is asked for, milliseconds; never less than `MIN_INTERVAL_MS`. */
  intervalMs(): number;
  /** Streams came or went. */
  onChange(): void;
  stop(): void;
}

/** No MIGlet is asked for less: 1 second. */
const MIN_INTERVAL_MS = 1_000;
/** A change that is smaller is told to nobody. */
const CHANGE_WORTH_TELLING = 0.2;
/** MIGlets that are told at a time, and the time between two such slices: 2,500 a second. */
const SLICE_COUNT = 250;
const SLICE_MS = 100;

export function createHeartbeatPolicy(
  { links, clock, logger }: { readonly links: Links; readonly clock: Clock; readonly logger: Logger },
  { maxPerSecond }: { readonly maxPerSecond: number },
): HeartbeatPolicy {
  /** What those that are connected were told last. */
  let toldMs = MIN_INTERVAL_MS;
  /** Who is still to be told. */
  let toTell: string[] = [];
  let timer: unknown;

  const fitting = (): number => Math.max(MIN_INTERVAL_MS, Math.ceil((links.count / maxPerSecond) * 1_000));

  function tellSlice(): void {
    timer = undefined;
    for (const vmId of toTell.splice(0, SLICE_COUNT)) {
      const link = links.get(vmId);
      if (link?.legacy === false) link.send({ kind: 'heartbeatPolicy', intervalMs: toldMs });
    }
    if (toTell.length > 0) timer = clock.setTimer(tellSlice, SLICE_MS);
  }

  return {
    intervalMs: fitting,

    onChange() {
      const intervalMs = fitting();
      if (Math.abs(intervalMs - toldMs) <= toldMs * CHANGE_WORTH_TELLING) return;
      toldMs = intervalMs;
      logger.info(
        { intervalMs, connectedCount: links.count },
        'MIGlets are asked for another heartbeat interval',
      );
      toTell = links.all().flatMap(({ vmId, legacy }) => (legacy ? [] : [vmId]));
      timer ??= clock.setTimer(tellSlice, SLICE_MS);
    },

    stop() {
      clock.clearTimer(timer);
      timer = undefined;
      toTell = [];
    },
  };
}
