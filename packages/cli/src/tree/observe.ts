/** Commands that only look: get, describe, events. Each is loaded when it runs, so that migctl starts fast. */
import { Option, type Command } from 'commander';
import { COMMAND_STATES, type CommandState } from '@mig/common/domain/command-state';
import { DRAIN_STATES, type DrainState } from '@mig/common/domain/drain';
import { LIVENESS, type Liveness } from '@mig/common/domain/vm';
import { UsageError } from '../errors.js';
import { didYouMean } from '../suggest.js';
import { addGetWorkflowJobs } from './workflow-jobs.js';
import { addDescribeGitHub, addGetRunners } from './observe-github.js';
import {
  countArgument,
  formatOption,
  noHeadersOption,
  pageFormatOption,
  poolOption,
  withExamples,
  type Act,
  type ListOptions,
  type PageOptions,
} from './options.js';

const tailOption = (initial: number, min: number, help: string): Option =>
  new Option('--tail <count>', help).argParser(countArgument(min)).default(initial);

/** A resource that does not exist is a usage error that lists those that do. */
export function refuseUnknownResource(group: Command): void {
  group.on('command:*', ([typed = '']: string[]) => {
    const resources = group.commands.map((command) => command.name());
    const known = group.commands.flatMap((command) => [command.name(), ...command.aliases()]);
    throw new UsageError(
      `there is no resource ${JSON.stringify(typed)} to ${group.name()}${didYouMean(typed, known)}`,
      `the resources are ${resources.join(', ')}; see \`migctl ${group.name()} --help\``,
    );
  });
}

export function addGet(program: Command, act: Act): void {
  const get = program
    .command('get')
    .description('list VMs, drains, commands, workflow jobs, events, heartbeats or runners')
    .helpCommand(false)
    .commandsGroup('Resources:');
  refuseUnknownResource(get);
  withExamples(get, [
    'migctl get vms',
    'migctl get vm demo-vm-1 -o yaml',
    'migctl get commands --vm demo-vm-1',
  ]);

  const vms = get
    .command('vms')
    .alias('vm')
    .description('VMs: all, those of a filter, or those that are named')
    .argument('[vm...]', 'names of VMs')
    .addOption(poolOption('only VMs of this pool'))
    .option(
      '--state <state>',
      'only VMs in this state; a phase stands for all states in it (ready, ready.idle)',
    )
    .addOption(new Option('--liveness <liveness>', 'only VMs of this liveness').choices(LIVENESS))
    .addOption(
      new Option(
        '--eligible <eligible>',
        'only VMs that may take new jobs, or only those that may not: cordoned or draining',
      ).choices(['true', 'false']),
    )
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action(
      (
        names: string[],
        options: ListOptions & {
          pool?: string;
          state?: string;
          liveness?: Liveness;
          eligible?: 'true' | 'false';
        },
        command: Command,
      ) =>
        act(command, async (session) => {
          const { getVms } = await import('../commands/get-vms.js');
          const { pool, state, liveness } = options;
          const eligible = options.eligible === undefined ? undefined : options.eligible === 'true';
          return getVms(session, names, { pool, state, liveness, eligible }, options);
        }),
    );
  withExamples(vms, [
    'migctl get vms --pool linux --state ready',
    'migctl get vm demo-vm-1 -o json',
    'migctl get vms --eligible false',
    'migctl drain $(migctl get vms --liveness suspect -o name)',
  ]);

  const drains = get
    .command('drains')
    .alias('drain')
    .description('drains and how far they have come, oldest first')
    .argument('[drain-id...]', 'ids of drains')
    .addOption(new Option('--state <state>', 'only drains in this state').choices(DRAIN_STATES))
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action((ids: string[], options: ListOptions & { state?: DrainState }, command: Command) =>
      act(command, async (session) => {
        const { getDrains } = await import('../commands/get-drains.js');
        return getDrains(session, ids, { state: options.state }, options);
      }),
    );
  withExamples(drains, [
    'migctl get drains --state active',
    'migctl get drain drain-01h2x3 -o json',
    'migctl undrain $(migctl get drains --state active -o name)',
  ]);

  const commands = get
    .command('commands')
    .alias('command')
    .description('commands and what became of them, oldest first')
    .argument('[command-id...]', 'ids of commands')
    .addOption(new Option('--vm <vm>', 'only commands of this VM'))
    .addOption(poolOption('only commands of VMs of this pool'))
    .addOption(new Option('--state <state>', 'only commands in this state').choices(COMMAND_STATES))
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action(
      (
        ids: string[],
        options: ListOptions & { vm?: string; pool?: string; state?: CommandState },
        command: Command,
      ) =>
        act(command, async (session) => {
          const { getCommands } = await import('../commands/get-commands.js');
          return getCommands(
            session,
            ids,
            { vm: options.vm, pool: options.pool, state: options.state },
            options,
          );
        }),
    );
  withExamples(commands, [
    'migctl get commands --vm demo-vm-1',
    'migctl get commands --state queued -o wide',
  ]);

  addGetWorkflowJobs(get, act);

  const events = get
    .command('events')
    .alias('event')
    .description('the newest events, newest last; `migctl events -f` follows them')
    .argument('[vm...]', 'names of VMs; default: all')
    .addOption(poolOption('only events of VMs of this pool'))
    .addOption(tailOption(20, 1, 'how many'))
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action((names: string[], options: ListOptions & { pool?: string; tail: number }, command: Command) =>
      act(command, async (session) => {
        const { getEvents } = await import('../commands/get-events.js');
        return getEvents(session, { names, pool: options.pool }, options.tail, options);
      }),
    );
  withExamples(events, ['migctl get events demo-vm-1', 'migctl get events --pool linux --tail 100 -o json']);

  const heartbeats = get
    .command('heartbeats')
    .alias('heartbeat')
    .description('the newest heartbeats of VMs, newest last')
    .argument('<vm...>', 'names of VMs')
    .addOption(tailOption(20, 1, 'how many of each VM'))
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action((names: string[], options: ListOptions & { tail: number }, command: Command) =>
      act(command, async (session) => {
        const { getHeartbeats } = await import('../commands/get-heartbeats.js');
        return getHeartbeats(session, names, options.tail, options);
      }),
    );
  withExamples(heartbeats, ['migctl get heartbeats demo-vm-1 --tail 5']);
  addGetRunners(get, act);
}

export function addDescribe(program: Command, act: Act): void {
  const describe = program
    .command('describe')
    .description('show everything about a VM, a drain, or how it works with GitHub')
    .helpCommand(false)
    .commandsGroup('Resources:');
  refuseUnknownResource(describe);
  withExamples(describe, ['migctl describe vm demo-vm-1']);
  const vm = describe
    .command('vm')
    .alias('vms')
    .description(
      'identity, state, may it take jobs, link, liveness, health, runner, job, open commands and recent events',
    )
    .argument('<vm...>', 'names of VMs')
    .addOption(pageFormatOption())
    .action((names: string[], { output }: PageOptions, command: Command) =>
      act(command, async (session) =>
        (await import('../commands/describe-vm.js')).describeVms(session, names, output),
      ),
    );
  withExamples(vm, ['migctl describe vm demo-vm-1', 'migctl describe vm demo-vm-1 -o json']);

  const drain = describe
    .command('drain')
    .alias('drains')
    .description('what a drain is to do, and each of its VMs: state, since when, and why it is not done')
    .argument('<drain-id...>', 'ids of drains; see `migctl get drains`')
    .addOption(pageFormatOption())
    .action((ids: string[], { output }: PageOptions, command: Command) =>
      act(command, async (session) =>
        (await import('../commands/describe-drain.js')).describeDrains(session, ids, output),
      ),
    );
  withExamples(drain, ['migctl describe drain drain-01h2x3']);
  addDescribeGitHub(describe, act);
}

export function addEvents(program: Command, act: Act): void {
  const events = program
    .command('events')
    .description('print events, one line each; -f goes on as they come, until Ctrl-C')
    .argument('[vm...]', 'names of VMs; default: all')
    .option('-f, --follow', 'go on with the events that come')
    .addOption(poolOption('only events of VMs of this pool'))
    .addOption(tailOption(20, 0, 'how many past events to begin with'))
    .addOption(formatOption(['table', 'json']))
    .action(
      (
        names: string[],
        options: { follow?: true; pool?: string; tail: number; output: 'table' | 'json' },
        command: Command,
      ) =>
        act(command, async (session) => {
          const { showEvents } = await import('../commands/events.js');
          return showEvents(
            session,
            { names, pool: options.pool },
            { ...options, follow: options.follow === true },
          );
        }),
    );
  withExamples(events, [
    'migctl events -f',
    'migctl events demo-vm-1 -f --tail 0',
    'migctl events --pool linux -f -o json',
  ]);
}
