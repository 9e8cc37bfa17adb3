/**
 * Which boot owns a VM's name. The first boot that joins owns it until the VM is lost, has ended by its own word, or is
 * released by an operator; until then every other boot that claims the name is refused (I10). What is known beyond a
 * restart is in the VM's record; a boot that has joined and not yet announced itself is kept here.
 */
import type { Clock } from '@mig/common/clock';

/** What the fleet knows of a VM; undefined = nothing. */
export interface KnownBoot {
  readonly bootId: string;
  readonly ended: boolean;
  readonly lost: boolean;
}

export interface Claims {
  /** @returns the boot that owns the name if it is another one; undefined = it belongs to `bootId` from now on */
  claim(vmId: string, bootId: string): string | undefined;
  /** May this boot, which has joined, go on speaking for the VM? */
  maySpeak(vmId: string, bootId: string): boolean;
  /** Is the present owner one that has joined since the start of this controller? */
  isJoined(vmId: string): boolean;
  /** The present owner is one no longer: the next boot that joins is. */
  release(vmId: string): void;
}

/** A boot that joins and does not announce itself in this time owns nothing any more. */
const PENDING_MS = 60_000;
/** Names that are kept at a time (I12): more than a fleet has. The oldest go; their VMs' records still count. */
const MAX_NAMES = 100_000;

export function createClaims({
  clock,
  known,
}: {
  readonly clock: Clock;
  readonly known: (vmId: string) => KnownBoot | undefined;
}): Claims {
  const joined = new Map<string, { readonly bootId: string; readonly atMs: number }>();
  const released = new Map<string, string>();

  function owner(vmId: string): string | undefined {
    const claim = joined.get(vmId);
    const record = known(vmId);
    if (claim !== undefined && record?.bootId !== claim.bootId) {
      if (clock.monotonicMs() - claim.atMs < PENDING_MS) return claim.bootId;
    }
    if (record === undefined || record.ended || record.lost || record.bootId === '') return undefined;
    return released.get(vmId) === record.bootId ? undefined : record.bootId;
  }

  function remember<V>(map: Map<string, V>, key: string, value: V): void {
    map.delete(key);
    map.set(key, value);
    if (map.size <= MAX_NAMES) return;
    for (const oldest of map.keys()) {
      map.delete(oldest);
      return;
    }
  }

  return {
    claim(vmId, bootId) {
      const other = owner(vmId);
      if (other !== undefined && other !== bootId) return other;
      if (released.get(vmId) === bootId) return bootId;
      remember(joined, vmId, { bootId, atMs: clock.monotonicMs() });
      return undefined;
    },
    maySpeak(vmId, bootId) {
      const boot = owner(vmId);
      return released.get(vmId) !== bootId && (boot === undefined || boot === bootId);
    },
    isJoined(vmId) {
      const claim = joined.get(vmId);
      return claim !== undefined && owner(vmId) === claim.bootId;
    },
    release(vmId) {
      const boot = owner(vmId);
      joined.delete(vmId);
      if (boot !== undefined) remember(released, vmId, boot);
    },
  };
}
