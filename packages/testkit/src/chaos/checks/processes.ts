/** What the processes themselves say: no error that nothing explains, no end that nobody caused. */
import { violations, type Evidence, type Violation } from '../evidence.js';
import type { Injected } from '../faults.js';

type ProcessEvidence = Pick<
  Evidence,
  'controllerTroubles' | 'histories' | 'lives' | 'injected' | 'complaints'
>;

/** What a fault leaves behind may be told a little later; what a process says as it starts carries no time but that of its start. */
const AFTERMATH_MS = 5_000;
const START_MS = 3_000;
const DISK_FULL =
  /ENOSPC|no space left on device|must be stored first|could not be stored|cannot be stored|nothing can be stored|the disk of the data directory \S+ is full/;

export function checkProcesses(evidence: ProcessEvidence): Violation[] {
  const { injected } = evidence;
  const during = (what: Injected['what'], at: number): boolean =>
    injected.some(
      (fault) => fault.what === what && fault.from - START_MS <= at && at <= fault.until + AFTERMATH_MS,
    );

  const errors = evidence.controllerTroubles
    .filter(({ at, text }) => !(during('disk', at) && DISK_FULL.test(text)))
    .map(({ at, text }) => `${new Date(at).toISOString()} ${text.slice(0, 600)}`);
  const migletErrors = evidence.histories.flatMap(({ vmId, troubles }) =>
    troubles.map(({ at, text }) => `${vmId} ${new Date(at).toISOString()} ${text.slice(0, 600)}`),
  );
  const ends: string[] = [];
  for (const [name, lives] of evidence.lives) {
    for (const life of lives) {
      if (life.endedAt === undefined || life.cause !== undefined) continue;
      // A MIGlet that was told by a command to end does so with 0; a controller cannot start on a full disk.
      if (name !== 'controller' && life.code === 0) continue;
      if (name === 'controller' && life.code === 1 && during('disk', life.endedAt)) continue;
      const how = life.signal ?? `exit code ${life.code ?? 'unknown'}`;
      ends.push(
        `${name}, life ${life.number}, ended by itself at ${new Date(life.endedAt).toISOString()} with ${how}`,
      );
    }
  }
  return [
    ...violations('the controller logs no error that nothing explains', errors),
    ...violations('a MIGlet logs no error', migletErrors),
    ...violations('no process ends by itself', ends),
    ...violations('a caller gets no answer that nothing explains', evidence.complaints),
  ];
}
