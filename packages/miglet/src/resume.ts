/** What becomes of the commands that were under way when an earlier process of the MIGlet ended (I2), by type. */
import type { CommandType } from '@mig/common/domain/command-types';
import type { CommandJournal, JournaledCommand } from './journal/journal.js';

export type Resumption =
  /** It is begun again: to do it twice is to do it once. */
  | { readonly kind: 'again' }
  | { readonly kind: 'ended'; readonly success: boolean; readonly message: string };

/** @param sameBoot the machine is in the boot in which the command was taken */
export function resumptionOf(type: CommandType, sameBoot: boolean): Resumption {
  switch (type) {
    case 'register_runner':
      return {
        kind: 'ended',
        success: false,
        message: 'interrupted: the MIGlet was restarted; the VM is registered anew',
      };
    case 'shutdown':
      return sameBoot
        ? { kind: 'again' }
        : { kind: 'ended', success: true, message: 'the boot that it was for has ended' };
    case 'drain':
      return sameBoot
        ? { kind: 'again' }
        : { kind: 'ended', success: false, message: 'interrupted: the VM began another boot' };
    case 'update_config':
    case 'set_log_level':
      return { kind: 'again' };
  }
}

/** Commands that were taken and have no outcome. */
export const unfinished = (journal: CommandJournal): JournaledCommand[] =>
  journal.all().filter((command) => command.outcome === undefined);
