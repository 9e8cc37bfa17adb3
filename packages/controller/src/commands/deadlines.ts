/**
 * The time by which a command's deadlines are judged.
 *
 * A record names its deadlines by the wall clock, for people and for the next controller. Within one controller's life they
 * are judged by the monotonic clock, set when the command was accepted or read back: a wall clock that is put forward by an
 * hour must not end an hour's worth of commands (I3).
 */
import type { Clock } from '@mig/common/clock';

export interface SteadyTime {
  /** From now on the command has a time of its own. */
  begin(commandId: string): void;
  /** Milliseconds since 1970 as the command counts them: at `begin` the wall clock, from then on by the monotonic one. */
  now(commandId: string): number;
  forget(commandId: string): void;
}

export function createSteadyTime(clock: Clock): SteadyTime {
  const offsets = new Map<string, number>();
  const offset = (): number => clock.now() - clock.monotonicMs();
  return {
    begin: (commandId) => void offsets.set(commandId, offset()),
    now: (commandId) => clock.monotonicMs() + (offsets.get(commandId) ?? offset()),
    forget: (commandId) => void offsets.delete(commandId),
  };
}
