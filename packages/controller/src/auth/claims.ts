/**
 * Which life of a VM owns its name. The first boot that joins owns it until the VM is lost, has ended by its own word, or is
 * released by an operator; until then every other boot that claims the name is refused (I10). The name stays with its pool,
 * also when the VM is lost or has ended, until it is released or the VM is forgotten: its history is the pool's.
 *
 * What is known beyond a restart is in the VM's record and in the book of names; a boot that has joined and not yet announced
 * itself is kept here.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '@mig/common/clock';
import { MigError } from '@mig/common/errors';
import type { NameBook } from './name-book.js';

/** What the fleet knows of a VM; undefined = nothing. */
export interface KnownBoot {
  readonly bootId: string;
  readonly poolId: string;
  readonly ended: boolean;
  readonly lost: boolean;
  /** Its stream has ended after it had said that it ends; default: no. */
  readonly done?: boolean;
  /** When something was heard of it, milliseconds since 1970; default: just now. */
  readonly seenAt?: number;
}

/** What a session says of the life that it was given to. */
export interface Speaker {
  readonly vmId: string;
  readonly poolId: string;
  readonly bootId: string;
  /** Of the name, when the session was issued. */
  readonly epoch: string;
}

export interface Claim {
  readonly vmId: string;
  readonly poolId: string;
  readonly bootId: string;
  readonly address: string;
  /** It has shown a session of this very boot. */
  readonly isProven: boolean;
}

/** What to do, for people; whose the name is stays untold. */
const REASONS = {
  otherBoot: (vmId: string) =>
    `belongs to another boot, which has not ended: this one can join when that one has ended, is lost (heartbeat.lost_after), or was released by "migctl release ${vmId}"`,
  otherPool: (vmId: string) =>
    `belongs to another pool: it can join when an operator there has released the name by "migctl release ${vmId}", or when the VM is forgotten (retention.vms)`,
  released: () => 'was released, and this boot of it is over: start its MIGlet in a new boot',
  notProven: () =>
    'has a session that is of another address: this boot can join again by showing that session, from that address, or when the VM is lost',
} as const;
export type ClaimFault = keyof typeof REASONS;

/** Another life owns the name. */
export class VmClaimedError extends MigError {
  /** It has its entry in the audit log. */
  readonly isAudited = true;
  constructor(
    readonly vmId: string,
    readonly fault: ClaimFault,
  ) {
    super('vm-claimed', `VM ${vmId} ${REASONS[fault](vmId)}`);
  }
}

export interface Claims {
  /** @returns why not; undefined = the name belongs to this boot from now on */
  claim(claim: Claim): ClaimFault | undefined;
  /** Why this life, which has joined, may not go on speaking for the VM; undefined = it may. */
  silencedBy(speaker: Speaker): string | undefined;
  /** A life speaks by its session; it may be one that joined before the book of names was kept. */
  heard(speaker: Speaker, address: string): void;
  /** Does the name belong to a VM that has joined with a credential, there, lost or ended? */
  isJoined(vmId: string): boolean;
  /** The pool that the name belongs to; undefined = none. */
  poolOf(vmId: string): string | undefined;
  /** What a session that is issued now has to say. */
  epochOf(vmId: string): string;
  /** No session that was issued before is taken again, and no boot that was there; the next that joins owns the name. Durable when it resolves. @throws StoreUnavailableError, TooManyReleasesError */
  release(vmId: string): Promise<void>;
  /** Rises with every name that goes to another boot or is released. */
  readonly changeCount: number;
  /** Forgets what counts no more. */
  sweep(): void;
}

/** A boot that joins and does not announce itself in this time owns nothing any more. */
const PENDING_MS = 60_000;
/** Names that are kept at a time (I12): more than a fleet has. The oldest go; their VMs' records still count. */
const MAX_NAMES = 100_000;
/** Boots of one name that were released and are remembered. */
const MAX_LIVES = 100;
/** No session lives longer: `auth.session.lifetime` is a day at most. */
const KEEP_RELEASE_MS = 86_400_000 + 60_000;
const SWEEP_MS = 600_000;

export interface ClaimsDeps {
  readonly clock: Clock;
  readonly known: (vmId: string) => KnownBoot | undefined;
  readonly names: NameBook;
}

export interface ClaimsOptions {
  /** A session of which nothing was heard for so long is over. */
  readonly sessionLifetimeMs: number;
  /** Names stay with their pools; not where nobody needs a credential. */
  readonly bindsPools: boolean;
}

export function createClaims({ clock, known, names }: ClaimsDeps, options: ClaimsOptions): Claims {
  const pending = new Map<
    string,
    { readonly bootId: string; readonly poolId: string; readonly atMs: number }
  >();
  let sweptMs = clock.monotonicMs();
  let changeCount = 0;

  /** What joined just now, and has not announced itself yet. */
  function pendingOf(vmId: string): { readonly bootId: string; readonly poolId: string } | undefined {
    const claim = pending.get(vmId);
    if (claim === undefined || clock.monotonicMs() - claim.atMs >= PENDING_MS) return undefined;
    return known(vmId)?.bootId === claim.bootId ? undefined : claim;
  }

  const wasReleased = (vmId: string, bootId: string, poolId?: string): boolean =>
    names
      .released(vmId)
      ?.lives.some((life) => life.bootId === bootId && (bootId !== '' || life.poolId === poolId)) ?? false;

  /** A life without a boot id is never over: there is nothing to tell it by from the next. */
  const isOver = (vmId: string, bootId: string): boolean => bootId !== '' && wasReleased(vmId, bootId);

  function owner(vmId: string): string | undefined {
    const claim = pendingOf(vmId);
    if (claim !== undefined) return claim.bootId;
    const record = known(vmId);
    if (record === undefined || record.ended || record.lost || record.bootId === '') return undefined;
    return isOver(vmId, record.bootId) ? undefined : record.bootId;
  }

  function poolOf(vmId: string): string | undefined {
    if (!options.bindsPools) return undefined;
    const claim = pendingOf(vmId);
    if (claim !== undefined) return claim.poolId;
    const record = known(vmId);
    if (record === undefined || record.poolId === '') return undefined;
    return wasReleased(vmId, record.bootId, record.poolId) ? undefined : record.poolId;
  }

  /** Who knows a boot's id, which every viewer sees, is not that boot: while its session lives, it has to be shown. */
  function needsProof({ vmId, bootId, address }: Claim): boolean {
    const joined = names.joined(vmId);
    if (bootId === '' || owner(vmId) !== bootId || joined?.bootId !== bootId) return false;
    const seenAt = pendingOf(vmId) === undefined ? (known(vmId)?.seenAt ?? clock.now()) : clock.now();
    return joined.address !== address && clock.now() < seenAt + options.sessionLifetimeMs;
  }

  function faultOf(claim: Claim): ClaimFault | undefined {
    const { vmId, poolId, bootId } = claim;
    if (isOver(vmId, bootId)) return 'released';
    const pool = poolOf(vmId);
    if (pool !== undefined && pool !== poolId) return 'otherPool';
    const other = owner(vmId);
    if (other !== undefined && other !== bootId) return 'otherBoot';
    return !claim.isProven && needsProof(claim) ? 'notProven' : undefined;
  }

  function remember({ vmId, poolId, bootId, address }: Omit<Claim, 'isProven'>): void {
    const before = names.joined(vmId);
    if (before?.bootId === bootId && before.poolId === poolId && before.address === address) return;
    names.join({ vmId, poolId, bootId, address });
  }

  return {
    claim(claim) {
      const fault = faultOf(claim);
      if (fault !== undefined) return fault;
      const { vmId, bootId, poolId } = claim;
      changeCount += 1;
      pending.delete(vmId);
      pending.set(vmId, { bootId, poolId, atMs: clock.monotonicMs() });
      for (const oldest of pending.size > MAX_NAMES ? pending.keys() : []) {
        pending.delete(oldest);
        break;
      }
      remember(claim);
      return undefined;
    },

    silencedBy({ vmId, bootId, epoch }) {
      const released = names.released(vmId);
      if (released !== undefined && released.epoch !== epoch) return 'the session was ended by an operator';
      const boot = owner(vmId);
      return boot === undefined || boot === bootId ? undefined : 'the session is of a boot that is over';
    },

    heard({ vmId, poolId, bootId }, address) {
      if (names.joined(vmId) === undefined) remember({ vmId, poolId, bootId, address });
    },

    isJoined: (vmId) =>
      names.joined(vmId) !== undefined && (known(vmId) !== undefined || pendingOf(vmId) !== undefined),
    poolOf,
    epochOf: (vmId) => names.released(vmId)?.epoch ?? '',

    async release(vmId) {
      const lives = [known(vmId), pendingOf(vmId)].flatMap((life) =>
        life === undefined ? [] : [{ bootId: life.bootId, poolId: life.poolId }],
      );
      const before = (names.released(vmId)?.lives ?? []).filter(
        (old) => !lives.some(({ bootId, poolId }) => bootId === old.bootId && poolId === old.poolId),
      );
      pending.delete(vmId);
      changeCount += 1;
      await names.release({
        vmId,
        epoch: randomUUID(),
        at: clock.now(),
        lives: [...before, ...lives].slice(-MAX_LIVES),
      });
    },

    get changeCount() {
      return changeCount;
    },

    sweep() {
      if (clock.monotonicMs() - sweptMs < SWEEP_MS) return;
      sweptMs = clock.monotonicMs();
      const isThere = (vmId: string): boolean => known(vmId) !== undefined || pendingOf(vmId) !== undefined;
      names.forget({
        joined: ({ vmId }) => isThere(vmId),
        released: ({ vmId, at }) => isThere(vmId) || clock.now() - at < KEEP_RELEASE_MS,
      });
    },
  };
}
