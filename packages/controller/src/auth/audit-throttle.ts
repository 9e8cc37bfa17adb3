/**
 * Refusals and failures are what a stranger can make as many of as they like. Of each kind, from each address, the first of a minute are
 * entered one by one, and so many in all that nobody can push what matters out of the log; the rest are counted, and the
 * count is entered when the minute is over.
 */
import type { Clock } from '@mig/common/clock';
import type { AuditFact } from '@mig/common/domain/audit';
import type { DurableAudit } from './audit-log.js';

const WINDOW_MS = 60_000;
/** Of one kind, in a minute. */
const FIRST_COUNT = 20;
/** Of all kinds, in a minute. */
const TOTAL_COUNT = 300;
/** Kinds that are told apart in a minute (I12); beyond it all others share one count. */
const MAX_KEYS = 1_000;

export interface ThrottledAudit extends DurableAudit {
  /** Enters the counts of a minute that is over; at the end, of any. */
  sweep(all?: 'all'): void;
}

export function throttleRefusals(audit: DurableAudit, clock: Clock): ThrottledAudit {
  const kinds = new Map<string, { count: number; left: number; last: AuditFact }>();
  let untilMs = 0;
  let total = 0;

  return {
    commit: (fact) => audit.commit(fact),
    record(fact) {
      if (fact.outcome === 'done') {
        audit.record(fact);
        return;
      }
      if (kinds.size === 0) untilMs = clock.monotonicMs() + WINDOW_MS;
      const wanted = JSON.stringify([fact.actor, fact.action, fact.from, fact.detail['reason']]);
      const key = kinds.has(wanted) || kinds.size < MAX_KEYS ? wanted : '';
      const kind = kinds.get(key) ?? { count: 0, left: 0, last: fact };
      kinds.set(key, kind);
      kind.count += 1;
      if (kind.count <= FIRST_COUNT && total < TOTAL_COUNT) {
        total += 1;
        audit.record(fact);
      } else {
        kind.left += 1;
        kind.last = fact;
      }
    },
    sweep(all) {
      if (all === undefined && clock.monotonicMs() < untilMs) return;
      for (const { left, last } of kinds.values())
        if (left > 0) audit.record({ ...last, detail: { ...last.detail, repeated: String(left) } });
      kinds.clear();
      total = 0;
    },
  };
}
