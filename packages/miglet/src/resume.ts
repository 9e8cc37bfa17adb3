/**
 * What becomes of the commands that were under way when an earlier process of the MIGlet ended, by type (I2).
 *
 * Between `taken` and `finished` nothing on disk says how far the effect had come. So a command is begun again only where to do
 * it twice is to do it once, and reported `interrupted` otherwise:
 *
 * - `register_runner` is never begun again: a second effect would be a second registration, and its token, a secret, was not
 *   written down. What it left running is cleared away, and the controller registers the VM anew.
 * - `drain`: the VM is, or comes, out of service. A second effect would be to take a VM out of service that was brought back
 *   meanwhile; but what brings it back (`undrain`, `register_runner`) comes after the drain was answered, or is itself
 *   unfinished, and begun again after it. Its deadline goes on from when it was taken, by a clock that does not jump.
 * - `undrain`: as `drain`, the other way round. That the drain is forgotten is on disk before it is answered.
 * - `shutdown`: the MIGlet ends once. The next one begins another boot, in which it is not begun again. The deadline of its
 *   drain, that of the settings, begins anew.
 * - `update_config`, `set_log_level` change the memory of the process, and died with it: begun again, they are done for the
 *   first time in this one. A second effect in one process would be to set the same value again.
 */
import type { CommandType } from '@mig/common/domain/command-types';
import { isCommandType } from '@mig/common/domain/command-types';
import { RESULT_INTERRUPTED, type Parameters } from '@mig/common/domain/command';
import type { CommandJournal, JournaledCommand } from './journal/journal.js';

export type Resumption =
  /** It is begun again: to do it twice is to do it once. */
  { readonly kind: 'again' } | ({ readonly kind: 'ended' } & NonNullable<JournaledCommand['outcome']>);

const interrupted = (why: string): Resumption => ({
  kind: 'ended',
  success: false,
  message: `interrupted: ${why}`,
  result: { code: RESULT_INTERRUPTED },
});

/** @param sameBoot the machine is in the boot in which the command was taken */
export function resumptionOf(type: CommandType, sameBoot: boolean): Resumption {
  switch (type) {
    case 'register_runner':
      return interrupted('the MIGlet was restarted; the VM is registered anew');
    case 'shutdown':
      return sameBoot
        ? { kind: 'again' }
        : { kind: 'ended', success: true, message: 'the boot that it was for has ended', result: {} };
    case 'drain':
      return sameBoot ? { kind: 'again' } : interrupted('the VM began another boot');
    case 'undrain':
    case 'update_config':
    case 'set_log_level':
      return { kind: 'again' };
  }
}

/** Commands that were taken and have no outcome, in the order in which they were taken. */
export const unfinished = (journal: CommandJournal): JournaledCommand[] =>
  journal.all().filter((command) => command.outcome === undefined);

export interface ResumeEffects {
  /** Milliseconds since the machine's start. */
  uptimeMs(): number;
  /** Deadline of a drain that names none; 0 = never. */
  readonly drainDeadlineMs: number;
  begin(id: string, type: CommandType, parameters: Parameters): void;
  settle(id: string, outcome: NonNullable<JournaledCommand['outcome']>): void;
}

/**
 * The parameters of a drain that was taken this long ago: with what is left of its deadline, 1 ms if nothing is.
 *
 * @param defaultDeadlineMs of a drain that names none; 0 = never
 */
export function continuedDrain(
  parameters: Parameters,
  elapsedMs: number,
  defaultDeadlineMs: number,
): Parameters {
  const { deadline_ms: named } = parameters;
  const deadlineMs = typeof named === 'number' ? named : defaultDeadlineMs;
  return deadlineMs === 0
    ? parameters
    : { ...parameters, deadline_ms: Math.max(1, deadlineMs - Math.max(0, elapsedMs)) };
}

/**
 * Begins or ends what is unfinished, in its order. Called when the machine has started and before a stream can be open, so
 * that no command that comes meets one that is not resumed.
 *
 * @param sameBoot the machine is in the boot in which the commands were taken
 */
export function resumeCommands(journal: CommandJournal, sameBoot: boolean, effects: ResumeEffects): void {
  for (const { id, type, parameters, takenUptimeMs } of unfinished(journal)) {
    if (!isCommandType(type)) {
      // A later version of the MIGlet took it, and was replaced by this one.
      effects.settle(id, {
        success: false,
        message: `interrupted: this version knows no ${type}`,
        result: { code: RESULT_INTERRUPTED },
      });
      continue;
    }
    const resumption = resumptionOf(type, sameBoot);
    if (resumption.kind === 'again') {
      const elapsedMs = takenUptimeMs === undefined ? 0 : effects.uptimeMs() - takenUptimeMs;
      const again =
        type === 'drain' ? continuedDrain(parameters, elapsedMs, effects.drainDeadlineMs) : parameters;
      effects.begin(id, type, again);
    } else {
      const { success, message, result } = resumption;
      effects.settle(id, { success, message, result });
    }
  }
}
