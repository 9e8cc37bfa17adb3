/**
 * The attacker: `node packages/testkit/dist/hostile/attacker/attacker-main.js SETTINGS.json`. Does what it is told to until
 * SIGTERM, then writes one JSON line with what came of it. Ends with its parent, and by itself after the time that it is
 * given.
 */
import { readFileSync } from 'node:fs';
import type { AttackName } from '../attack-names.js';
import { endWithParent } from '../../system/end-with-parent.js';
import { createTally, type Attack, type Target } from './attack.js';
import { manyStreams, neverReading, reconnects, slowLoris } from './connections.js';
import { failedJoins, httpHeartbeats, streamHeartbeats, strangers } from './floods.js';
import { hugeEvents } from './sizes.js';

export interface AttackerSettings {
  readonly target: Target;
  readonly attack: AttackName;
  /** It ends after this, whatever happens. */
  readonly maxSeconds: number;
  readonly parentPid: number;
}

export type AttackerLine =
  | { readonly event: 'attacking' }
  | {
      readonly event: 'over';
      readonly counts: Readonly<Record<string, number>>;
    };

const ATTACKS: Readonly<Record<AttackName, Attack>> = {
  'stream-heartbeats': streamHeartbeats,
  'http-heartbeats': httpHeartbeats,
  'huge-events': hugeEvents,
  'many-streams': manyStreams,
  'never-reading': neverReading,
  'slow-loris': slowLoris,
  reconnects,
  'failed-joins': failedJoins,
  strangers,
};

const settings = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as AttackerSettings;
endWithParent(settings.parentPid);
const print = (line: AttackerLine): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);
const tally = createTally();
print({ event: 'attacking' });
ATTACKS[settings.attack](settings.target, tally);
const end = (): void => {
  print({ event: 'over', counts: tally.counts() });
  process.exit(0);
};
process.once('SIGTERM', end);
setTimeout(end, settings.maxSeconds * 1_000);
