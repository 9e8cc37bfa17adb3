import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { silentLogger } from '@mig/common/logger';
import { createEventJournal } from '../journal/event-journal.js';
import { openLogFile } from '../journal/log-file.js';
import { eventFile, openEarlierBoots } from './earlier-boots.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'miglet-boots-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A boot that ended `age` seconds ago with so many events, of which so many are acknowledged. */
function endedBoot(bootId: string, age: number, events: number, acknowledged = 0): void {
  const file = path.join(folder, eventFile(bootId));
  const { log, entries } = openLogFile<unknown>(file);
  const journal = createEventJournal(log, entries);
  for (let n = 0; n < events; n += 1) journal.append('job_completed', {}, n);
  journal.acknowledge(acknowledged);
  log.close();
  utimesSync(file, 1_000_000 - age, 1_000_000 - age);
}
const open = () => openEarlierBoots(folder, 'this-boot', silentLogger);

describe('earlier boots', () => {
  it('those that have something left to tell are kept, oldest first, with what it is', () => {
    endedBoot('newer', 10, 1);
    endedBoot('older', 20, 3, 2);
    endedBoot('told', 30, 2, 2);
    endedBoot('this-boot', 40, 5);
    const boots = open();
    expect(
      boots.map(({ bootId, events }) => [bootId, [...events.pending()].map(({ sequence }) => sequence)]),
    ).toEqual([
      ['older', [3]],
      ['newer', [1]],
    ]);
    expect(readdirSync(folder).sort()).toEqual(['newer', 'older', 'this-boot'].map(eventFile).sort());
  });

  it('what is acknowledged stays so over a restart; what is told is removed', () => {
    endedBoot('older', 20, 3);
    open()[0]?.events.acknowledge(1);
    const [again] = open();
    expect([...(again?.events.pending() ?? [])].map(({ sequence }) => sequence)).toEqual([2, 3]);
    again?.forget();
    expect([open(), readdirSync(folder)]).toEqual([[], []]);
  });

  it('of too many the oldest are given up (I12)', () => {
    for (let n = 0; n < 25; n += 1) endedBoot(`boot-${n}`, n, 1);
    const ids = open().map(({ bootId }) => bootId);
    expect(ids).toHaveLength(20);
    expect([ids[0], ids.at(-1)]).toEqual(['boot-19', 'boot-0']);
    expect(readdirSync(folder)).toHaveLength(20);
  });
});
