/**
 * The door through which commands come in: checked, journaled, and then begun once.
 *
 * A command that was taken before is answered from the journal, also after a crash (I2). One whose time to start has
 * passed is refused and never begun (I3). One that is wrong is answered with every fault, and nothing else happens. One that
 * cannot be journaled, because the disk is full or too many are under way, is refused too: its submitter hears so at once,
 * where silence would hold it back until its deadline, behind commands that came later.
 */
import type { Logger } from '@mig/common/logger';
import { testPoint } from '@mig/common/test-points';
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
      const refusal = journal.take(id, type, withoutSecrets(type as CommandType, parameters)); // I8
      if (refusal !== undefined) {
        logger.warn({ commandId: id, type, code: refusal.code }, 'a command was not taken');
        return refuse(refusal.message, { code: refusal.code }); // I2
      }
      testPoint('intake.taken');
      logger.info({ commandId: id, type, attempt: command.attempt }, 'a command was taken');
      return { kind: 'taken', begin: () => execute(id, type as CommandType, parameters) };
    },
  };
}

const withoutSecrets = (type: CommandType, parameters: Parameters): Parameters =>
  Object.fromEntries(
    Object.entries(parameters).filter(([name]) => COMMAND_SPECS[type].parameters[name]?.secret !== true),
  );
