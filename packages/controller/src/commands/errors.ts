/** What a caller may hear of commands and drains that cannot be. */
import { MigError } from '@mig/common/errors';
import type { CommandRecord } from '@mig/common/domain/command';

/** The command itself is wrong; `faults` names every wrong thing. */
export class BadCommandError extends MigError {
  constructor(readonly faults: readonly string[]) {
    super('bad-command', faults.join('; '));
  }
}

export class UnknownCommandError extends MigError {
  constructor(readonly commandId: string) {
    super(
      'unknown-command',
      `command ${commandId} is not known; it may be older than the retention of finished commands`,
    );
  }
}

export class NotCancellableError extends MigError {
  constructor(readonly command: CommandRecord) {
    super(
      'not-cancellable',
      `command ${command.id} is ${command.state}: only what the VM has not yet taken can be cancelled`,
    );
  }
}

export class TooManyCommandsError extends MigError {
  constructor(vmId: string, limit: number) {
    super(
      'too-many-commands',
      `VM ${vmId} has ${limit} unfinished commands, the most that a VM may have: cancel some, or wait until they end`,
    );
  }
}

/** No VM can be drained by this selector. */
export class BadDrainError extends MigError {
  constructor(message: string) {
    super('bad-drain', message);
  }
}

export class UnknownDrainError extends MigError {
  constructor(readonly drainId: string) {
    super(
      'unknown-drain',
      `drain ${drainId} is not known; it may be older than the retention of ended drains`,
    );
  }
}

export class DrainEndedError extends MigError {
  constructor(readonly drainId: string) {
    super(
      'drain-ended',
      `drain ${drainId} has ended: there is nothing to take back; bring single VMs back with "migctl undrain VM"`,
    );
  }
}

export class TooManyDrainsError extends MigError {
  constructor(limit: number) {
    super(
      'too-many-drains',
      `${limit} drains are active, the most that there may be: wait until some end, or take some back`,
    );
  }
}
