/** Commands that take VMs out of work and bring them back as one thing: drain, undrain, wait drain. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { DEFAULT_DRAIN_DEADLINE_MS, DRAIN_THEN, type DrainThen } from '@mig/common/domain/drain';
import type { Format } from '../output/format.js';
import { refuseUnknownResource } from './observe.js';
import { toOperationOptions, withOperationOptions, type OperationFlags } from './operation-options.js';
import {
  durationArgument,
  formatOption,
  labelsArgument,
  poolOption,
  positiveDurationArgument,
  reasonArgument,
  withExamples,
  type Act,
} from './options.js';

/** How long `--wait` bears a silent controller, if nothing else is said: a drain takes hours, and goes on meanwhile. */
const RECONNECT_FOR_MS = 10 * 60_000;

const reconnectOption = (): Option =>
  new Option(
    '--reconnect-for <duration>',
    'with --wait: how long to wait for a controller that stops answering',
  )
    .argParser(positiveDurationArgument)
    .default(RECONNECT_FOR_MS, '10m');

interface DrainFlags {
  readonly pool?: string;
  readonly labels?: readonly string[];
  readonly all?: true;
  readonly reason?: string;
  readonly deadline: number;
  readonly force?: true;
  readonly maxUnavailable?: number;
  readonly then: DrainThen;
  readonly wait?: true;
  readonly timeout?: number;
  readonly reconnectFor: number;
  readonly yes?: true;
  readonly output: Format;
}

export function addDrain(program: Command, act: Act): void {
  const drain = program
    .command('drain')
    .summary('take VMs out of service, as one drain: a running job ends first')
    .description(
      'take VMs out of service: they take no more jobs, and a running job ends first.\n\n' +
        'One drain is made for all of them, and the controller carries it out: it goes on when migctl has ended, and when ' +
        'the controller is restarted.\n\n' +
        'A job that still runs when the deadline has passed (1h from the moment its VM begins to drain, or what --deadline ' +
        'says) is ended.',
    )
    .argument('[vm...]', 'names of VMs')
    .addOption(poolOption('all VMs of this pool'))
    .addOption(
      new Option(
        '--labels <labels>',
        'all VMs whose runner has all of these labels, comma-separated',
      ).argParser(labelsArgument),
    )
    .option('--all', 'all VMs of the controller; without a terminal it needs --yes')
    .option('--reason <text>', 'why, for people; goes into events and logs', reasonArgument)
    .addOption(
      new Option(
        '--deadline <duration>',
        'end a job that still runs this long after its VM began to drain; none = let it run',
      )
        .argParser(deadlineArgument)
        .default(DEFAULT_DRAIN_DEADLINE_MS, '1h'),
    )
    .option('--force', 'end running jobs at once')
    .addOption(
      new Option(
        '--max-unavailable <count>',
        'most VMs that drain at a time (default: all at once)',
      ).argParser(maxUnavailableArgument),
    )
    .addOption(
      new Option(
        '--then <what>',
        'what follows: shutdown ends the MIGlet, keep leaves the VM without a runner',
      )
        .choices(DRAIN_THEN)
        .default('keep'),
    )
    .option(
      '--wait',
      'follow it until it has ended; Ctrl-C leaves it as it is, and `migctl wait drain` returns',
    )
    .option(
      '--timeout <duration>',
      'with --wait: stop following after this, exit code 3; 0 = never (default: none)',
      durationArgument,
    )
    .addOption(reconnectOption())
    .option('-y, --yes', 'ask nothing: neither for --all nor for jobs that --force ends')
    .addOption(formatOption())
    .hook('preAction', (_, self) => {
      const { timeout, wait, force } = self.opts<DrainFlags>();
      if (timeout !== undefined && !wait) self.error("error: option '--timeout <duration>' needs --wait");
      if (force && self.getOptionValueSource('deadline') === 'cli') {
        self.error(
          'error: --force ends running jobs at once, so that --deadline has no meaning: give one of them',
        );
      }
    })
    .action((names: string[], flags: DrainFlags, command: Command) =>
      act(command, async (session) => {
        const { runDrain } = await import('../drains/run-drain.js');
        return runDrain(
          session,
          { names, pool: flags.pool, labels: flags.labels, all: flags.all },
          {
            reason: flags.reason,
            deadlineMs: flags.deadline,
            force: flags.force === true,
            maxUnavailable: flags.maxUnavailable,
            then: flags.then,
          },
          {
            output: flags.output,
            wait: flags.wait === true,
            timeoutMs: flags.timeout ?? 0,
            reconnectForMs: flags.reconnectFor,
            yes: flags.yes === true,
          },
        );
      }),
    );
  withExamples(drain, [
    'migctl drain demo-vm-1 --wait',
    'migctl drain --pool linux --reason "new image" --max-unavailable 10 --then shutdown --wait',
    'migctl drain --labels gpu,large --deadline none',
    'migctl drain --all --yes --deadline 30m -o name',
  ]);
}

/** `none`, or a duration; 0 is none. */
const deadlineArgument = (text: string): number => (text === 'none' ? 0 : durationArgument(text));

const MAX_UNAVAILABLE = 100_000;

function maxUnavailableArgument(text: string): number {
  const number = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= 1 && number <= MAX_UNAVAILABLE))
    throw new InvalidArgumentError(`Give a whole number from 1 to ${MAX_UNAVAILABLE}.`);
  return number;
}

export function addUndrain(program: Command, act: Act): void {
  const undrain = withOperationOptions(program.command('undrain'), 'undrain', 5 * 60_000)
    .summary('take a drain back, or bring single VMs back into service')
    .description(
      'take a drain back, or bring single VMs back into service.\n\n' +
        'Of a drain: VMs that wait for their turn are left alone, those that drain are registered again when their job ' +
        'has ended, those that are done stay as they are.\n\nOf a VM: it is registered again, whatever drained it.',
    )
    .argument('[drain-or-vm...]', 'ids of drains, or names of VMs')
    .usage('[options] [DRAIN_ID... | VM...]')
    .action((names: string[], flags: OperationFlags, command: Command) =>
      act(command, async (session) => {
        const { undrain: run } = await import('../drains/undrain.js');
        return run(session, { names, pool: flags.pool, all: flags.all }, toOperationOptions(flags));
      }),
    );
  withExamples(undrain, [
    'migctl undrain drain-01h2x3',
    'migctl undrain demo-vm-1 --wait',
    'migctl undrain --pool linux',
  ]);
}

export function addWait(program: Command, act: Act): void {
  const wait = program
    .command('wait')
    .description('follow what goes on until it has ended')
    .helpCommand(false)
    .commandsGroup('Resources:');
  refuseUnknownResource(wait);
  withExamples(wait, ['migctl wait drain drain-01h2x3']);
  const drain = wait
    .command('drain')
    .alias('drains')
    .description('return to a drain, as `migctl drain --wait` follows it; Ctrl-C leaves it as it is')
    .argument('<drain-id>', 'id of the drain; see `migctl get drains`')
    .option(
      '--timeout <duration>',
      'stop following after this, exit code 3; 0 = never (default: none)',
      durationArgument,
    )
    .addOption(reconnectOption())
    .addOption(formatOption())
    .action(
      (
        drainId: string,
        flags: { timeout?: number; reconnectFor: number; output: Format },
        command: Command,
      ) =>
        act(command, async (session) => {
          const { waitForDrain } = await import('../drains/run-drain.js');
          return waitForDrain(session, drainId, {
            output: flags.output,
            timeoutMs: flags.timeout ?? 0,
            reconnectForMs: flags.reconnectFor,
          });
        }),
    );
  withExamples(drain, ['migctl wait drain drain-01h2x3', 'migctl wait drain drain-01h2x3 --timeout 30m']);
}
