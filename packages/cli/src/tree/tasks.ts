/** Commands that run something on VMs: exec, get tasks, cancel task. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { TASK_STATES, type TaskState } from '@mig/common/domain/task-state';
import { UsageError } from '../errors.js';
import type { Format } from '../output/format.js';
import { groupOf } from './groups.js';
import {
  countArgument,
  durationArgument,
  formatOption,
  labelsArgument,
  noHeadersOption,
  poolOption,
  withExamples,
  type Act,
  type ListOptions,
} from './options.js';

/** Repeatable. */
export const envOption = (): Option =>
  new Option('-e, --env <name=value>', 'a variable of its environment; may be given several times')
    .argParser((text: string, before: readonly string[] = []) => {
      if (!/^[A-Za-z_][A-Za-z0-9_]*=/.test(text)) throw new InvalidArgumentError('Write NAME=value.');
      return [...before, text];
    })
    .default([], 'none');

export const timeoutOption = (): Option =>
  new Option('--timeout <duration>', 'it is ended after this; 0 = never')
    .argParser(durationArgument)
    .default(300_000, '5m');

interface ExecFlags {
  readonly pool?: string;
  readonly labels?: readonly string[];
  readonly all?: true;
  readonly maxParallel: number;
  readonly env: readonly string[];
  readonly workdir?: string;
  readonly timeout: number;
  readonly resume?: true;
  readonly detach?: true;
}

export function addExec(program: Command, act: Act): void {
  const exec = program
    .command('exec')
    .summary('run a command on a VM, or on many')
    .description(
      'run a command on a VM, or on many, with its output as it comes. Ctrl-C ends it there too.\n\n' +
        'The exit code is that of the command: 128 and its number if a signal ended it, 124 if its time ran out, 255 if it did not\n' +
        'run or nobody knows how it ended. On many VMs it is 0 if all succeeded, and 1 if not.',
    )
    .argument('[words...]', 'name of the VM, unless VMs are chosen by an option; then the command, after --')
    .usage('[options] VM -- COMMAND [ARG...]')
    .addOption(poolOption('on all VMs of this pool'))
    .addOption(
      new Option('--labels <labels>', 'on all VMs whose runner has all of these labels').argParser(
        labelsArgument,
      ),
    )
    .option('--all', 'on all VMs of the controller')
    .addOption(
      new Option('--max-parallel <count>', 'on so many VMs at a time')
        .argParser(countArgument(1))
        .default(10),
    )
    .addOption(envOption())
    .option('-w, --workdir <folder>', 'where it runs; default: as the MIGlet is configured')
    .addOption(timeoutOption())
    .option('--resume', 'if the VM disconnects, the command goes on, and is waited for')
    .option('-d, --detach', 'print the id of the task and leave')
    .action((words: string[], flags: ExecFlags, command: Command) =>
      act(command, async (session) => {
        const { execOnMany, execOnVm, startOnVm } = await import('../tasks/exec.js');
        const { toShellCommand } = await import('../tasks/shell-words.js');
        const many = flags.pool !== undefined || flags.labels !== undefined || flags.all === true;
        const [vmId = '', ...rest] = words;
        const commandWords = many ? words : rest;
        if (commandWords.length === 0)
          throw new UsageError('there is no command to run', 'write `migctl exec VM -- COMMAND`');
        const work = {
          shell: {
            cmd: toShellCommand(commandWords),
            env: [...flags.env],
            working_dir: flags.workdir ?? '',
          },
          timeout_ms: flags.timeout,
          resume: flags.resume === true,
        };
        if (many) {
          if (flags.detach === true)
            throw new UsageError('--detach is for one VM', 'leave out --pool, --labels and --all');
          const { pool, labels, all } = flags;
          return execOnMany(session, { names: [], pool, labels, all }, work, flags.maxParallel);
        }
        return flags.detach === true ? startOnVm(session, vmId, work) : execOnVm(session, vmId, work);
      }),
    );
  withExamples(exec, [
    'migctl exec demo-vm-1 -- df -h',
    "migctl exec demo-vm-1 -- 'journalctl -u miglet | tail'",
    'migctl exec --pool linux --max-parallel 10 -- docker system prune -f',
  ]);
}

export function addTasks(program: Command, act: Act): void {
  const tasks = groupOf(program, 'get')
    .command('tasks')
    .alias('task')
    .description('what was run on VMs and what became of it, oldest first')
    .argument('[task-id...]', 'ids of tasks')
    .addOption(new Option('--vm <vm>', 'only tasks of this VM'))
    .addOption(new Option('--state <state>', 'only tasks in this state').choices(TASK_STATES))
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action((ids: string[], options: ListOptions & { vm?: string; state?: TaskState }, command: Command) =>
      act(command, async (session) => {
        const { getTasks } = await import('../tasks/get-tasks.js');
        return getTasks(session, ids, { vmId: options.vm, state: options.state }, options);
      }),
    );
  withExamples(tasks, ['migctl get tasks --vm demo-vm-1', 'migctl get tasks --state in_progress']);

  const cancel = groupOf(program, 'cancel')
    .command('task')
    .alias('tasks')
    .description('tasks, by id: what they started is ended')
    .argument('<task-id...>', 'ids of tasks; see `migctl get tasks`')
    .addOption(formatOption())
    .action((ids: string[], options: { output: Format }, command: Command) =>
      act(command, async (session) => {
        const { cancelTasks } = await import('../tasks/get-tasks.js');
        return cancelTasks(session, ids, options.output);
      }),
    );
  withExamples(cancel, ['migctl cancel task task-01h2x3']);
}
