/** Commands that change something on VMs, one command for each: shutdown, register, set-log-level, update-config, cancel. */
import type { Command } from 'commander';
import type { Format } from '../output/format.js';
import { splitLevel, splitSettings } from '../operate/settings.js';
import { refuseUnknownResource } from './observe.js';
import { given, operate, withOperationOptions, type OperationFlags, type Spec } from './operation-options.js';
import { formatOption, withExamples, type Act } from './options.js';

export function addOperations(program: Command, act: Act): void {
  addShutdown(program, act);
  addRegister(program, act);
  addSetLogLevel(program, act);
  addUpdateConfig(program, act);
  addCancel(program, act);
}

const SHUTDOWN: Spec = {
  type: 'shutdown',
  noun: 'shutdown',
  done: 'shut down',
  takesOut: true,
  livingOnly: true,
  endsVm: true,
};

function addShutdown(program: Command, act: Act): void {
  const shutdown = withOperationOptions(program.command('shutdown'), 'shutdown', undefined)
    .description('drain VMs, then end their MIGlet')
    .argument('[vm...]', 'names of VMs')
    .option('--reason <text>', 'why, for people; goes into events and logs')
    .option('--force', 'end the running job at once')
    .option('--poweroff', 'power the VM off at the end')
    .action(
      (
        names: string[],
        options: OperationFlags & { reason?: string; force?: true; poweroff?: true },
        command: Command,
      ) =>
        act(command, (session) => {
          const { reason, force, poweroff } = options;
          const parameters = given({ reason, force, poweroff });
          return operate(session, SHUTDOWN, parameters, names, options);
        }),
    );
  withExamples(shutdown, ['migctl shutdown demo-vm-1 --wait', 'migctl shutdown --pool linux --poweroff']);
}

const REGISTER: Spec = {
  type: 'register_runner',
  noun: 'registration',
  done: 'registered',
  takesOut: false,
  livingOnly: false,
  endsVm: false,
};

function addRegister(program: Command, act: Act): void {
  const register = withOperationOptions(program.command('register'), 'registration', 15 * 60_000)
    .description('register and start the GitHub runner of VMs; the controller gets the token')
    .argument('[vm...]', 'names of VMs')
    .option('--labels <labels>', 'labels, comma-separated (default: as the pool is configured)')
    .option('--runner-group <group>', 'runner group (default: as the pool is configured)')
    .option('--runner-name <name>', 'runner name (default: from VM and boot)')
    .option('--runner-url <url>', 'URL of the organization, repository or enterprise')
    .action(
      (
        names: string[],
        options: OperationFlags & {
          labels?: string;
          runnerGroup?: string;
          runnerName?: string;
          runnerUrl?: string;
        },
        command: Command,
      ) =>
        act(command, (session) => {
          const parameters = given({
            labels: options.labels?.split(',').map((label) => label.trim()),
            runner_group: options.runnerGroup,
            runner_name: options.runnerName,
            runner_url: options.runnerUrl,
          });
          return operate(session, REGISTER, parameters, names, options);
        }),
    );
  withExamples(register, [
    'migctl register demo-vm-1 --wait',
    'migctl register --pool linux --labels gpu,large',
  ]);
}

const SET_LOG_LEVEL: Spec = {
  type: 'set_log_level',
  noun: 'change of log level',
  done: 'log level set',
  takesOut: false,
  livingOnly: false,
  endsVm: false,
};

function addSetLogLevel(program: Command, act: Act): void {
  const setLogLevel = withOperationOptions(program.command('set-log-level'), 'change', 60_000)
    .description('change how much VMs write into their log: trace, debug, info, warn, error or fatal')
    .argument('<vm-or-level...>', 'names of VMs, and the level as the last word')
    .usage('[options] [VM...] LEVEL')
    .action((words: string[], options: OperationFlags, command: Command) =>
      act(command, (session) => {
        const { names, level } = splitLevel(words);
        return operate(session, SET_LOG_LEVEL, { level }, names, options);
      }),
    );
  withExamples(setLogLevel, [
    'migctl set-log-level demo-vm-1 debug',
    'migctl set-log-level --pool linux info --wait',
  ]);
}

const UPDATE_CONFIG: Spec = {
  type: 'update_config',
  noun: 'change of settings',
  done: 'settings changed',
  takesOut: false,
  livingOnly: false,
  endsVm: false,
};

function addUpdateConfig(program: Command, act: Act): void {
  const updateConfig = withOperationOptions(program.command('update-config'), 'change', 60_000)
    .description('change settings of VMs until their MIGlet is restarted')
    .argument('<vm-or-setting...>', 'names of VMs, and KEY=VALUE pairs')
    .usage('[options] [VM...] KEY=VALUE...')
    .addHelpText('after', SETTINGS_HELP)
    .action((words: string[], options: OperationFlags, command: Command) =>
      act(command, (session) => {
        const { names, parameters } = splitSettings(words);
        return operate(session, UPDATE_CONFIG, parameters, names, options);
      }),
    );
  withExamples(updateConfig, [
    'migctl update-config demo-vm-1 heartbeat_interval=30s',
    'migctl update-config --pool linux drain_deadline=2h labels=gpu,large --wait',
  ]);
}

const SETTINGS_HELP = `
Settings:
  heartbeat_interval=30s   time between two heartbeats (or heartbeat_interval_ms=30000)
  drain_deadline=1h        deadline of a drain that names none; 0 = never (or drain_deadline_ms=3600000)
  log_level=debug          how much goes into the log
  labels=gpu,large         labels at the next registration; empty = none`;

function addCancel(program: Command, act: Act): void {
  const cancel = program
    .command('cancel')
    .description('cancel a command that its VM has not yet taken')
    .helpCommand(false)
    .commandsGroup('Resources:');
  refuseUnknownResource(cancel);
  withExamples(cancel, ['migctl cancel command cmd-01h2x3']);
  const command = cancel
    .command('command')
    .alias('commands')
    .description('commands, by id')
    .argument('<command-id...>', 'ids of commands; see `migctl get commands`')
    .addOption(formatOption())
    .action((ids: string[], options: { output: Format }, self: Command) =>
      act(self, async (session) =>
        (await import('../commands/cancel-commands.js')).cancelCommands(session, ids, options.output),
      ),
    );
  withExamples(command, [
    'migctl cancel command cmd-01h2x3',
    'migctl cancel command $(migctl get commands --state queued -o name)',
  ]);
}
