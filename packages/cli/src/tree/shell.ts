/** Commands about migctl itself: completion, version. */
import { Argument, type Command } from 'commander';
import { EXIT, type ExitCode } from '../errors.js';
import type { Io } from '../io.js';
import { formatOption, withExamples, type Act } from './options.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function addCompletion(program: Command, io: Io, finish: (code: ExitCode) => void): void {
  const completion = program
    .command('completion')
    .description('print a script that completes commands, flags and names of VMs in a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .action(async (shell: Shell) => {
      const { completionScript } = await import('../completion/scripts.js');
      io.stdout.write(completionScript(shell));
      finish(EXIT.done);
    });
  completion.addHelpText(
    'after',
    '\nThe script calls `migctl`, which must be on the PATH: put node_modules/.bin there, or install it. Names of VMs' +
      '\ncome from the controller of MIGCTL_SERVER or --server; if none answers at once, there are none.',
  );
  withExamples(completion, [
    'source <(migctl completion bash)                                  # this bash; or add it to ~/.bashrc',
    'source <(migctl completion zsh)                                   # this zsh, after compinit',
    'migctl completion fish > ~/.config/fish/completions/migctl.fish   # every fish',
  ]);
}

export function addVersion(program: Command, act: Act): void {
  const version = program
    .command('version')
    .description('print the versions of migctl and of the controller')
    .addOption(formatOption(['table', 'json']))
    .action((options: { output: 'table' | 'json' }, command: Command) =>
      act(command, async (session) =>
        (await import('../commands/version.js')).showVersion(session, options.output),
      ),
    );
  withExamples(version, ['migctl version', 'migctl version -o json']);
}
