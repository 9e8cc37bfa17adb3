import { commandFaults, type CommandType } from '@mig/common/domain/command-types';
import type { Parameters } from '@mig/common/domain/command';
import { UsageError } from '../errors.js';
import type { Format } from '../output/format.js';

/** What is asked of VMs, and how it is spoken of. */
export interface Operation {
  readonly type: CommandType;
  readonly parameters: Parameters;
  /** `shutdown`: "the shutdown goes on". */
  readonly noun: string;
  /** `shut down`: "vm-1: shut down in 2m". */
  readonly done: string;
  /** It takes VMs out of work: `--all` is confirmed. */
  readonly takesOut: boolean;
  /** VMs that have shut down are left out. */
  readonly livingOnly: boolean;
  /** It is done when the VM has gone, not when its command has ended. */
  readonly endsVm: boolean;
}

export interface OperationOptions {
  readonly output: Format;
  readonly wait: boolean;
  /** Milliseconds; 0 = for ever. */
  readonly timeoutMs: number;
  /** How long a controller that stops answering is waited for, milliseconds. */
  readonly reconnectForMs: number;
  readonly deliveryDeadlineMs: number | undefined;
  /** Ask nothing. */
  readonly yes: boolean;
}

/** @throws UsageError with every fault of the parameters, before anything is sent */
export function assertOperation({ type, parameters }: Operation): void {
  const faults = commandFaults(type, parameters, 'submit');
  if (faults.length > 0) throw new UsageError(faults.join('; '));
}
