/** Commands about who may take new jobs: cordon, uncordon. */
import { Option, type Command } from 'commander';
import type { Format } from '../output/format.js';
import {
  formatOption,
  labelsArgument,
  poolOption,
  reasonArgument,
  withExamples,
  type Act,
} from './options.js';

interface CordonFlags {
  readonly pool?: string;
  readonly labels?: readonly string[];
  readonly all?: true;
  readonly reason?: string;
  readonly yes?: true;
  readonly output: Format;
}

const withSelection = (command: Command, all: string): Command =>
  command
    .argument('[vm...]', 'names of VMs')
    .addOption(poolOption('all VMs of this pool'))
    .addOption(
      new Option(
        '--labels <labels>',
        'all VMs whose runner has all of these labels, comma-separated',
      ).argParser(labelsArgument),
    )
    .option('--all', all)
    .addOption(formatOption());

const selectionOf = (names: string[], { pool, labels, all }: CordonFlags) => ({ names, pool, labels, all });

export function addCordon(program: Command, act: Act): void {
  const cordon = withSelection(
    program.command('cordon'),
    'all VMs of the controller; without a terminal it needs --yes',
  )
    .summary('keep VMs from new jobs; a running job goes on')
    .description(
      'keep VMs from new jobs until they are uncordoned; a running job goes on.\n\n' +
        'It holds for the name of the VM: a VM that comes back under it is cordoned too.',
    )
    .option('--reason <text>', 'why, for people; `migctl describe vm` shows it', reasonArgument)
    .option('-y, --yes', 'ask nothing')
    .action((names: string[], flags: CordonFlags, command: Command) =>
      act(command, async (session) => {
        const { cordonVms } = await import('../commands/cordon.js');
        return cordonVms(session, selectionOf(names, flags), flags.reason ?? '', {
          output: flags.output,
          yes: flags.yes === true,
        });
      }),
    );
  withExamples(cordon, [
    'migctl cordon demo-vm-1 --reason "disk is full"',
    'migctl cordon --labels gpu,large',
    'migctl get vms --eligible false',
  ]);
}

export function addUncordon(program: Command, act: Act): void {
  const uncordon = withSelection(program.command('uncordon'), 'all VMs of the controller')
    .description('let VMs take new jobs again')
    .action((names: string[], flags: CordonFlags, command: Command) =>
      act(command, async (session) => {
        const { uncordonVms } = await import('../commands/cordon.js');
        return uncordonVms(session, selectionOf(names, flags), { output: flags.output, yes: true });
      }),
    );
  withExamples(uncordon, ['migctl uncordon demo-vm-1', 'migctl uncordon --all']);
}
