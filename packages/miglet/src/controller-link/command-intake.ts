/**
 * The door through which commands come in: checked, journaled, and then begun once.
 *
 * A command that was taken before is answered from the journal, also after a crash (I2). One whose time to start has
 * passed is refused and never begun (I3). One that is wrong is answered with every fault, and nothing else happens.
 */
import type { Logger } from '@mig/common/logger';
import { COMMAND_SPECS, commandFaults, type CommandType } from '@mig/common/domain/command-types';
import { RESULT_EXPIRED, type Parameters } from '@mig/common/domain/command';
import type { CommandMessage } from '@mig/common/domain/messages';
import { isValidId } from '@mig/common/domain/ids';
import type { CommandJournal, JournaledCommand } from '../journal/journal.js';

type CommandOutcome = NonNullable<JournaledCommand['outcome']>;

export type IntakeVerdict =
  /** Answer with this; there is nothing to do. */
  | { readonly kind: 'answer'; readonly outcome: CommandOutcome }
  /** It is on disk. Say so, then call `begin`. */
  | { readonly kind: 'taken'; readonly begin: () => void }
  /** It is under way: its result will come. */
  | { readonly kind: 'underWay' };

export interface CommandIntake {
  take(command: CommandMessage): IntakeVerdict;
}

/** Carries a good command out. Called once per command. */
export type CommandExecutor = (id: string, type: CommandType, parameters: Parameters) => void;

const refuse = (message: string, result: Record<string, string> = {}): IntakeVerdict => ({
  kind: 'answer',
  outcome: { success: false, message, result },
});

export function createCommandIntake(
  journal: CommandJournal,
  execute: CommandExecutor,
  logger: Logger,
): CommandIntake {
  return {
    take(command) {
      const { id, type, parameters } = command;
      if (!isValidId(id)) return refuse(`command id ${JSON.stringify(id.slice(0, 80))} is not valid`);
      const before = journal.get(id);
      if (before?.outcome !== undefined) return { kind: 'answer', outcome: before.outcome }; // I2
      if (before !== undefined) return { kind: 'underWay' };
      if (command.startWithinMs < 0) {
        return refuse('its time to start has passed, and this VM had not taken it', { code: RESULT_EXPIRED }); // I3
      }
      const faults = commandFaults(type, parameters, 'execute');
      if (faults.length > 0) {
        logger.warn({ commandId: id, type, faults }, 'a command was refused');
        return refuse(faults.join('; '), { code: 'bad-command' });
      }
      journal.take(id, type, withoutSecrets(type as CommandType, parameters)); // I8
      logger.info({ commandId: id, type, attempt: command.attempt }, 'a command was taken');
      return { kind: 'taken', begin: () => execute(id, type as CommandType, parameters) };
    },
  };
}

const withoutSecrets = (type: CommandType, parameters: Parameters): Parameters =>
  Object.fromEntries(
    Object.entries(parameters).filter(([name]) => COMMAND_SPECS[type].parameters[name]?.secret !== true),
  );
