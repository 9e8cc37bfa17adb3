/** Commands that only look at GitHub: get runners, describe github. */
import { Option, type Command } from 'commander';
import {
  formatOption,
  noHeadersOption,
  pageFormatOption,
  withExamples,
  type Act,
  type ListOptions,
  type PageOptions,
} from './options.js';

export function addGetRunners(get: Command, act: Act): void {
  const runners = get
    .command('runners')
    .alias('runner')
    .description('runners at GitHub and our VMs side by side, and what does not fit together')
    .addOption(new Option('--vm <vm>', 'only runners of this VM'))
    .option('--findings', 'only runners with which something is wrong')
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action((options: ListOptions & { vm?: string; findings?: true }, command: Command) =>
      act(command, async (session) => {
        const { getRunners } = await import('../commands/get-runners.js');
        return getRunners(session, { vmId: options.vm, findings: options.findings }, options);
      }),
    );
  withExamples(runners, [
    'migctl get runners',
    'migctl get runners --findings -o wide',
    'migctl get runners --vm demo-vm-1 -o json',
  ]);
}

export function addDescribeGitHub(describe: Command, act: Act): void {
  const github = describe
    .command('github')
    .description('does it work with GitHub: sign-in, limits, webhooks, and what reconciliation found and did')
    .addOption(pageFormatOption())
    .action(({ output }: PageOptions, command: Command) =>
      act(command, async (session) =>
        (await import('../commands/describe-github.js')).describeGitHub(session, output),
      ),
    );
  withExamples(github, ['migctl describe github', 'migctl describe github -o json']);
}
