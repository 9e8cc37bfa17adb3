/**
 * The session tokens of VMs while their streams live: each gets the next one when half of the life of the one before is over. One
 * timer for all: their turns come in the order in which they began.
 */
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { SessionClaims } from '../auth/session-tokens.js';
import type { Admitted, VmGate } from '../auth/vm-gate.js';
import type { VmLink } from '../fleet/links.js';

export interface Sessions {
  /**
   * Gives the VM its session, if it joined by opening the stream, and from then on the next token of it each time. The stream
   * is ended when the session is taken no more.
   */
  keep(link: VmLink, admitted: Admitted): void;
  /** The stream ended. */
  end(link: VmLink): void;
}

interface Kept {
  readonly claims: SessionClaims;
  /** When the next token is due, by the monotonic clock. */
  readonly dueMs: number;
}

/** A token that has so much of its life before it is renewed when its turn comes, as one that was just issued; others at once. */
const FRESH = 0.9;

export function createSessions(
  {
    gate,
    clock,
    logger,
  }: { readonly gate: Pick<VmGate, 'renew' | 'watch'>; readonly clock: Clock; readonly logger: Logger },
  { lifetimeMs }: { readonly lifetimeMs: number },
): Sessions {
  /** In the order in which they are due. */
  const kept = new Map<VmLink, Kept>();
  /** Each ends the watch over its stream. */
  const watched = new Map<VmLink, () => void>();
  let timer: unknown;

  function wait(link: VmLink, claims: SessionClaims): void {
    kept.delete(link);
    kept.set(link, { claims, dueMs: clock.monotonicMs() + lifetimeMs / 2 });
    arm();
  }

  function arm(): void {
    if (timer !== undefined) return;
    for (const { dueMs } of kept.values()) {
      timer = clock.setTimer(renewDue, Math.max(0, dueMs - clock.monotonicMs()));
      return;
    }
  }

  function renewDue(): void {
    timer = undefined;
    const nowMs = clock.monotonicMs();
    // Each goes to the end by it.
    for (const [link, { claims, dueMs }] of kept) {
      if (dueMs > nowMs) break;
      void renew(link, claims);
    }
    arm();
  }

  async function renew(link: VmLink, claims: SessionClaims): Promise<void> {
    // Its next turn: whatever becomes of this one, unless the stream ends.
    wait(link, claims);
    try {
      const { token, expiresInMs } = await gate.renew(claims);
      if (kept.has(link) && !link.send({ kind: 'sessionToken', token, expiresInMs })) kept.delete(link);
    } catch (error) {
      logger.error({ vmId: link.vmId, reason: errorMessage(error) }, 'a session could not be renewed');
    }
  }

  return {
    keep(link, admitted) {
      const claims = admitted.claims ?? admitted.session?.claims;
      if (claims === undefined) return;
      watched.set(
        link,
        gate.watch(claims, (message) => link.close({ kind: 'released', message })),
      );
      if (link.legacy) return;
      if (admitted.session === undefined) {
        const leftMs = (admitted.expiresAtMs ?? 0) - clock.now();
        return leftMs < lifetimeMs * FRESH ? void renew(link, claims) : wait(link, claims);
      }
      const { token, expiresInMs } = admitted.session;
      link.send({ kind: 'sessionToken', token, expiresInMs });
      wait(link, claims);
    },
    end(link) {
      kept.delete(link);
      watched.get(link)?.();
      watched.delete(link);
    },
  };
}
