/** What all commands to VMs share: their flags, and the way from the flags to the operation. */
import { Option, type Command } from 'commander';
import type { Parameters, ParameterValue } from '@mig/common/domain/command';
import type { ExitCode } from '../errors.js';
import type { Operation, OperationOptions } from '../operate/operation.js';
import type { Format } from '../output/format.js';
import type { Session } from '../session.js';
import { durationArgument, formatOption, poolOption, positiveDurationArgument } from './options.js';

/** The flags as commander hands them over; durations in milliseconds. */
export interface OperationFlags {
  readonly pool?: string;
  readonly all?: true;
  readonly wait?: true;
  readonly timeout?: number;
  readonly reconnectFor: number;
  readonly deliveryDeadline?: number;
  readonly yes?: true;
  readonly output: Format;
}

export type Spec = Omit<Operation, 'parameters'>;

/** @param timeoutMs default of `--timeout`; undefined = none */
export function withOperationOptions(command: Command, noun: string, timeoutMs: number | undefined): Command {
  const none = timeoutMs === undefined ? 'none, a job may take days' : `${timeoutMs / 60_000}m`;
  return command
    .addOption(poolOption('all VMs of this pool'))
    .option('--all', 'all VMs of the controller')
    .option('--wait', `wait until the ${noun} has ended on every VM`)
    .option(
      '--timeout <duration>',
      `with --wait: give up after this, exit code 3; 0 = never (default: ${none})`,
      durationArgument,
    )
    .addOption(
      new Option('--reconnect-for <duration>', 'how long to wait for a controller that stops answering')
        .argParser(positiveDurationArgument)
        .default(60_000, '60s'),
    )
    .option(
      '--delivery-deadline <duration>',
      'give up if the VM is not reached by then (default: 1h)',
      positiveDurationArgument,
    )
    .option('-y, --yes', 'ask nothing: neither for --all nor for jobs that --force ends')
    .addOption(formatOption())
    .hook('preAction', (_, self) => {
      const { timeout, wait } = self.opts<OperationFlags>();
      if (timeout !== undefined && !wait) self.error("error: option '--timeout <duration>' needs --wait");
      if (timeout === undefined) self.setOptionValueWithSource('timeout', timeoutMs, 'default');
    });
}

/** Runs the operation that a command line asks for. The code is loaded here: `--help` does not need it. */
export async function operate(
  session: Session,
  spec: Spec,
  parameters: Parameters,
  names: readonly string[],
  flags: OperationFlags,
): Promise<ExitCode> {
  const { runOperation } = await import('../operate/run-operation.js');
  return runOperation(
    session,
    { ...spec, parameters },
    { names, pool: flags.pool, all: flags.all },
    toOperationOptions(flags),
  );
}

export const toOperationOptions = (flags: OperationFlags): OperationOptions => ({
  output: flags.output,
  wait: flags.wait === true,
  timeoutMs: flags.timeout ?? 0,
  reconnectForMs: flags.reconnectFor,
  deliveryDeadlineMs: flags.deliveryDeadline,
  yes: flags.yes === true,
});

/** The parameters that were given. */
export const given = (parameters: Readonly<Record<string, ParameterValue | undefined>>): Parameters =>
  Object.fromEntries(
    Object.entries(parameters).filter((entry): entry is [string, ParameterValue] => entry[1] !== undefined),
  );
