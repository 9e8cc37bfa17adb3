/** Sessions that hold a stream: one that is taken no more loses its stream soon, and not only when it asks for the next token. */
import type { Audit } from './audit-log.js';
import type { SessionClaims } from './session-tokens.js';

export interface OpenSessions {
  /** @param end ends the stream, with this message for the VM @returns the stream has ended by itself */
  watch(session: SessionClaims, end: (message: string) => void): () => void;
  /** Ends those that are taken no more. Called every second. */
  sweep(): void;
}

/** Where nothing has changed, every so manieth sweep looks at all: what a fleet of thousands takes is not taken each second. */
const UNCHANGED_SWEEPS = 10;

export function createOpenSessions(deps: {
  /** Why it is taken no more; undefined = it is. */
  readonly reasonAgainst: (session: SessionClaims) => string | undefined;
  /** Rises whenever what `reasonAgainst` says may have become another, but for what comes with time alone. */
  readonly changeCount: () => number;
  readonly audit: Audit;
}): OpenSessions {
  let sweptAtChange = -1;
  let sweepCount = 0;
  const open = new Set<{ readonly session: SessionClaims; readonly end: (message: string) => void }>();
  return {
    watch(session, end) {
      const entry = { session, end };
      open.add(entry);
      return () => void open.delete(entry);
    },
    sweep() {
      sweepCount += 1;
      const changes = deps.changeCount();
      if (changes === sweptAtChange && sweepCount % UNCHANGED_SWEEPS !== 0) return;
      sweptAtChange = changes;
      for (const entry of open) {
        const reason = deps.reasonAgainst(entry.session);
        if (reason === undefined) continue;
        open.delete(entry);
        const { vmId, poolId, bootId } = entry.session;
        deps.audit.record({
          actor: 'controller',
          action: 'session.end',
          target: vmId,
          from: '',
          outcome: 'done',
          detail: { pool: poolId, boot: bootId, reason },
        });
        entry.end(`the session of VM ${vmId} has ended: it can go on when it joins again`);
      }
    },
  };
}
