/**
 * Events of boots that have ended which the controller has not acknowledged: the MIGlet was killed, or its controller was
 * away, before it could hand them over. Events are counted per boot, so each boot has a journal of its own.
 */
import { readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Logger } from '@mig/common/logger';
import { createEventJournal } from '../journal/event-journal.js';
import type { EarlierBoot } from '../journal/journal.js';
import { openLogFile } from '../journal/log-file.js';

/** Of more than this many boots with something left to tell, the oldest are given up, and the log says so (I12). */
const MAX_EARLIER_BOOTS = 20;

export const eventFile = (bootId: string): string => `events-${bootId}.jsonl`;

/** Every boot but this one that has something left to tell, oldest first. Files of the others are removed. */
export function openEarlierBoots(stateDirectory: string, bootId: string, logger: Logger): EarlierBoot[] {
  const files = readdirSync(stateDirectory)
    .filter((name) => /^events-.+\.jsonl$/.test(name) && name !== eventFile(bootId))
    .map((name) => path.join(stateDirectory, name))
    .sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);
  const boots: EarlierBoot[] = [];
  for (const [index, file] of files.entries()) {
    const { log, entries } = openLogFile<unknown>(file);
    const events = createEventJournal(log, entries);
    const forget = (): void => {
      log.close();
      rmSync(file, { force: true });
    };
    if (events.pendingCount > 0 && index >= files.length - MAX_EARLIER_BOOTS) {
      boots.push({ bootId: path.basename(file, '.jsonl').slice('events-'.length), events, forget });
      continue;
    }
    if (events.pendingCount > 0)
      logger.error(
        { file, lost: events.pendingCount },
        'events of a boot long ago are given up: too many boots ended untold',
      );
    forget();
  }
  return boots;
}
