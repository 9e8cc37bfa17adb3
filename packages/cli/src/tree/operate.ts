/** Commands that change something on VMs: drain, shutdown, register, set-log-level, update-config, cancel. */
import { Option, type Command } from 'commander';
import type { Parameters, ParameterValue } from '@mig/common/domain/command';
import type { Operation } from '../operate/operation.js';
import type { Format } from '../output/format.js';
import { splitLevel, splitSettings } from '../operate/settings.js';
import type { Session } from '../session.js';
import { refuseUnknownResource } from './observe.js';
import {
  durationArgument,
  formatOption,
  idArgument,
  positiveDurationArgument,
  withExamples,
  type Act,
} from './options.js';

/** The options that all of them have, as commander hands them over. */
interface CommonOptions {
  readonly pool?: string;
  readonly all?: boolean;
  readonly wait: boolean;
  readonly timeout?: number;
  readonly reconnectFor: number;
  readonly deliveryDeadline?: number;
  readonly yes: boolean;
  readonly output: Format;
}

type Spec = Omit<Operation, 'parameters'>;

export function addOperations(program: Command, act: Act): void {
  addDrain(program, act);
  addShutdown(program, act);
  addRegister(program, act);
  addSetLogLevel(program, act);
  addUpdateConfig(program, act);
  addCancel(program, act);
}

const DRAIN: Spec = { type: 'drain', noun: 'drain', done: 'drained', takesOut: true, endsVm: false };

function addDrain(program: Command, act: Act): void {
  const drain = withCommon(program.command('drain'), 'drain', undefined)
    .description('let VMs take no more jobs; a running job ends first')
    .argument('[vm...]', 'names of VMs')
    .option('--reason <text>', 'why, for people; goes into events and logs')
    .option('--force', 'end the running job at once', false)
    .option(
      '--deadline <duration>',
      'end the running job after this; 0 = never (default: as the VM is configured)',
      durationArgument,
    )
    .action(
      (
        names: string[],
        options: CommonOptions & { reason?: string; force: boolean; deadline?: number },
        command: Command,
      ) =>
        act(command, (session) => {
          const { reason, force, deadline } = options;
          return operate(
            session,
            DRAIN,
            given({ reason, force: force || undefined, deadline_ms: deadline }),
            names,
            options,
          );
        }),
    );
  withExamples(drain, [
    'migctl drain demo-vm-1 --wait',
    'migctl drain --pool linux --reason "new image" --deadline 30m --wait --timeout 1h',
  ]);
}

const SHUTDOWN: Spec = {
  type: 'shutdown',
  noun: 'shutdown',
  done: 'shut down',
  takesOut: true,
  endsVm: true,
};

function addShutdown(program: Command, act: Act): void {
  const shutdown = withCommon(program.command('shutdown'), 'shutdown', undefined)
    .description('drain VMs, then end their MIGlet')
    .argument('[vm...]', 'names of VMs')
    .option('--reason <text>', 'why, for people; goes into events and logs')
    .option('--force', 'end the running job at once', false)
    .option('--poweroff', 'power the VM off at the end', false)
    .action(
      (
        names: string[],
        options: CommonOptions & { reason?: string; force: boolean; poweroff: boolean },
        command: Command,
      ) =>
        act(command, (session) => {
          const { reason, force, poweroff } = options;
          const parameters = given({ reason, force: force || undefined, poweroff: poweroff || undefined });
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
  endsVm: false,
};

function addRegister(program: Command, act: Act): void {
  const register = withCommon(program.command('register'), 'registration', 15 * 60_000)
    .description('register and start the GitHub runner of VMs; the controller gets the token')
    .argument('[vm...]', 'names of VMs')
    .option('--labels <labels>', 'labels, comma-separated (default: as the pool is configured)')
    .option('--runner-group <group>', 'runner group (default: as the pool is configured)')
    .option('--runner-name <name>', 'runner name (default: from VM and boot)')
    .option('--runner-url <url>', 'URL of the organization, repository or enterprise')
    .action(
      (
        names: string[],
        options: CommonOptions & {
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
  noun: 'log level',
  done: 'log level set',
  takesOut: false,
  endsVm: false,
};

function addSetLogLevel(program: Command, act: Act): void {
  const setLogLevel = withCommon(program.command('set-log-level'), 'change', 60_000)
    .description('change how much VMs write into their log: trace, debug, info, warn, error or fatal')
    .argument('<vm-or-level...>', 'names of VMs, and the level as the last word')
    .usage('[options] [VM...] LEVEL')
    .action((words: string[], options: CommonOptions, command: Command) =>
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
  noun: 'change',
  done: 'settings changed',
  takesOut: false,
  endsVm: false,
};

function addUpdateConfig(program: Command, act: Act): void {
  const updateConfig = withCommon(program.command('update-config'), 'change', 60_000)
    .description('change settings of VMs until their MIGlet is restarted')
    .argument('<vm-or-setting...>', 'names of VMs, and KEY=VALUE pairs')
    .usage('[options] [VM...] KEY=VALUE...')
    .addHelpText('after', SETTINGS_HELP)
    .action((words: string[], options: CommonOptions, command: Command) =>
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

/** @param timeoutMs default of `--timeout`; undefined = none */
function withCommon(command: Command, noun: string, timeoutMs: number | undefined): Command {
  const none =
    timeoutMs === undefined ? '; default: none, a job may take days' : `; default: ${timeoutMs / 60_000}m`;
  return command
    .addOption(new Option('--pool <pool>', 'all VMs of this pool').argParser(idArgument))
    .option('--all', 'all VMs of the controller')
    .option('--wait', `wait until the ${noun} has ended on every VM`, false)
    .addOption(
      new Option(
        '--timeout <duration>',
        `with --wait: give up after this, exit code 3; 0 = never${none}`,
      ).argParser(durationArgument),
    )
    .option(
      '--reconnect-for <duration>',
      'how long to wait for a controller that stops answering (60s)',
      positiveDurationArgument,
      60_000,
    )
    .option(
      '--delivery-deadline <duration>',
      'give up if the VM is not reached by then (default: 1h)',
      positiveDurationArgument,
    )
    .option('-y, --yes', 'do not ask for confirmation', false)
    .addOption(formatOption())
    .hook('preAction', (_, self) => {
      const { timeout, wait } = self.opts<CommonOptions>();
      if (timeout !== undefined && !wait) self.error("error: option '--timeout <duration>' needs --wait");
      if (timeout === undefined && timeoutMs !== undefined)
        self.setOptionValueWithSource('timeout', timeoutMs, 'default');
    });
}

async function operate(
  session: Session,
  spec: Spec,
  parameters: Parameters,
  names: readonly string[],
  options: CommonOptions,
): ReturnType<typeof import('../operate/run-operation.js').runOperation> {
  const { runOperation } = await import('../operate/run-operation.js');
  return runOperation(
    session,
    { ...spec, parameters },
    { names, pool: options.pool, all: options.all },
    {
      output: options.output,
      wait: options.wait,
      timeoutMs: options.timeout ?? 0,
      reconnectForMs: options.reconnectFor,
      deliveryDeadlineMs: options.deliveryDeadline,
      yes: options.yes,
    },
  );
}

/** The parameters that were given. */
const given = (parameters: Readonly<Record<string, ParameterValue | undefined>>): Parameters =>
  Object.fromEntries(
    Object.entries(parameters).filter((entry): entry is [string, ParameterValue] => entry[1] !== undefined),
  );
