/**
 * What was found, how often and since when. Acted upon is what was seen at least twice, for the whole grace, without a change.
 *
 * In memory: a controller that starts sees everything for the first time. Limit (I12): `MAX_SIGHTINGS`; above it what is found
 * first waits until something else is well again.
 */
import type { Clock } from '@mig/common/clock';
import type { Finding } from './findings.js';

export interface Sighting {
  /** As it was seen last. */
  readonly finding: Finding;
  /** When it was seen first; milliseconds since 1970. */
  readonly since: number;
  readonly count: number;
  /** It was told: it is not told again. */
  readonly told: boolean;
  /** Its deletion was asked for, and no answer came: it may have been done. */
  readonly asked: boolean;
  /** What became of the last try to do something about it. */
  readonly note: string | undefined;
}

export interface Sightings {
  /**
   * One round of looking.
   * @param looked has the place of this finding been looked at? What is elsewhere stays as it is
   * @returns those that are not there any more
   */
  look(found: readonly Finding[], looked: (finding: Finding) => boolean): Sighting[];
  /** In the order in which they were found first. */
  open(): Sighting[];
  /** Those that may be acted upon now. */
  due(): Sighting[];
  told(finding: Finding): void;
  /** It stays due. @param asked nobody knows whether it was done */
  failed(finding: Finding, note: string, asked: boolean): void;
  /** The clock of this one starts anew, the note is kept. */
  again(finding: Finding, note: string): void;
  forget(finding: Finding): void;
  /** How many findings had no room in the last round. */
  readonly left: number;
}

export interface SightingsOptions {
  /** Milliseconds. */
  readonly graceMs: number;
  /** One that was not looked at for so long, because a list failed, begins anew. Milliseconds. */
  readonly staleMs: number;
}

const MIN_SIGHTINGS = 2;
const MAX_SIGHTINGS = 10_000;

interface Entry extends Sighting {
  finding: Finding;
  count: number;
  told: boolean;
  asked: boolean;
  note: string | undefined;
  readonly firstAtMs: number;
  lastAtMs: number;
  /** Of the VM, when it was seen first. */
  readonly heartbeatAt: number | undefined;
}

export function createSightings(clock: Clock, options: SightingsOptions): Sightings {
  const entries = new Map<string, Entry>();
  let left = 0;

  const begin = (finding: Finding): Entry => ({
    finding,
    since: clock.now(),
    count: 1,
    told: false,
    asked: false,
    note: undefined,
    firstAtMs: clock.monotonicMs(),
    lastAtMs: clock.monotonicMs(),
    heartbeatAt: finding.row.vm?.lastHeartbeatAt,
  });

  function see(finding: Finding): void {
    const { key } = finding.row;
    const before = entries.get(key);
    const nowMs = clock.monotonicMs();
    const same =
      before !== undefined &&
      before.finding.facts === finding.facts &&
      nowMs - before.lastAtMs <= options.staleMs;
    if (same) {
      Object.assign(before, { finding, count: before.count + 1, lastAtMs: nowMs });
    } else if (before !== undefined || entries.size < MAX_SIGHTINGS) {
      entries.set(key, begin(finding));
    } else left += 1;
  }

  /** What rests on the VM's word is not acted upon before it has said so a second time. */
  const isSaidAgain = ({ finding, heartbeatAt }: Entry): boolean =>
    !finding.byWord || finding.row.vm?.lastHeartbeatAt !== heartbeatAt;

  const isDue = (entry: Entry): boolean =>
    !entry.told &&
    entry.finding.action !== 'none' &&
    entry.count >= MIN_SIGHTINGS &&
    entry.lastAtMs - entry.firstAtMs >= options.graceMs &&
    isSaidAgain(entry);

  function change(finding: Finding, fields: Partial<Entry>): void {
    const entry = entries.get(finding.row.key);
    if (entry !== undefined) Object.assign(entry, fields);
  }

  return {
    look(found, looked) {
      left = 0;
      const keys = new Set(found.map(({ row }) => row.key));
      const gone = [...entries.values()].filter(
        (entry) => looked(entry.finding) && !keys.has(entry.finding.row.key),
      );
      for (const { finding } of gone) entries.delete(finding.row.key);
      for (const finding of found) see(finding);
      return gone;
    },
    open: () => [...entries.values()],
    due: () => [...entries.values()].filter(isDue),
    told: (finding) => change(finding, { told: true }),
    failed: (finding, note, asked) => change(finding, asked ? { note, asked } : { note }),
    again(finding, note) {
      entries.delete(finding.row.key);
      entries.set(finding.row.key, { ...begin(finding), note });
    },
    forget: (finding) => void entries.delete(finding.row.key),
    get left() {
      return left;
    },
  };
}
