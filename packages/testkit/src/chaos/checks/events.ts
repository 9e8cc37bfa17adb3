/** What was promised of events (I4): each that a VM wrote down is stored once, in order. */
import type { EventResource } from '@mig/common/api/history-resource';
import { violations, type Evidence, type Violation } from '../evidence.js';
import type { LoggedEvent, VmHistory } from '../vm-history.js';

type EventEvidence = Pick<Evidence, 'events' | 'histories' | 'lives'>;

/** One that was written down at this moment may be on its way. */
const ON_ITS_WAY_MS = 2_000;

export function checkEvents({ events, histories, lives }: EventEvidence, now: number): Violation[] {
  const gaps: string[] = [];
  for (const [vmId, stored] of events) gaps.push(...findGaps(vmId, stored));
  const lost: string[] = [];
  for (const history of histories) {
    const killed = new Set(
      (lives.get(history.vmId) ?? [])
        .filter(({ signal }) => signal === 'SIGKILL')
        .map(({ number }) => number),
    );
    lost.push(...compare(history, events.get(history.vmId) ?? [], killed, now));
  }
  return [
    ...violations('the events of a boot are stored once each, in order, without a gap', gaps),
    ...violations('every event of a VM is stored, and none that it did not tell', lost),
  ];
}

/** Those that a VM told, not those that the controller found out by itself. */
const told = (events: readonly EventResource[]): EventResource[] =>
  events.filter(({ via }) => via !== 'controller');

function findGaps(vmId: string, events: readonly EventResource[]): string[] {
  const faults: string[] = [];
  const last = new Map<string, number>();
  for (const event of told(events)) {
    const expected = (last.get(event.boot_id) ?? 0) + 1;
    if (event.sequence !== expected)
      faults.push(
        `${vmId}, boot ${event.boot_id}: ${event.type} has number ${event.sequence} where ${expected} is next`,
      );
    last.set(event.boot_id, event.sequence);
  }
  return faults;
}

/** The log of a VM names each event just before it is written down: the last before a kill may not have been. */
function compare(
  history: VmHistory,
  events: readonly EventResource[],
  killed: ReadonlySet<number>,
  now: number,
): string[] {
  const logged = new Map<string, { readonly event: LoggedEvent; readonly isOptional: boolean }[]>();
  for (const life of history.lives) {
    const ofBoot = logged.get(life.bootId) ?? [];
    logged.set(life.bootId, ofBoot);
    for (const [index, event] of life.events.entries()) {
      const isLast = index === life.events.length - 1;
      const isOptional = (isLast && killed.has(life.number)) || now - event.at < ON_ITS_WAY_MS;
      ofBoot.push({ event, isOptional });
    }
  }
  const stored = new Map<string, EventResource[]>();
  for (const event of told(events)) stored.set(event.boot_id, [...(stored.get(event.boot_id) ?? []), event]);

  const faults: string[] = [];
  for (const [bootId, wanted] of logged) {
    const left = [...(stored.get(bootId) ?? [])];
    for (const { event, isOptional } of wanted) {
      if (left[0]?.type === event.type && (event.job === '' || left[0].data['name'] === event.job))
        left.shift();
      else if (!isOptional) {
        const at = new Date(event.at).toISOString();
        const instead = left[0] === undefined ? 'nothing' : `${left[0].type} (${left[0].sequence})`;
        faults.push(
          `${history.vmId}, boot ${bootId}: ${event.type} ${event.job} of ${at} is not stored; ${instead} is there instead`,
        );
        break; // what follows cannot be told apart
      }
    }
  }
  return faults;
}
