/** Carries out the commands that were taken: tells the machine, or does at once what needs no machine. */
import { LOG_LEVELS, type LogLevel } from '@mig/common/domain/log-level';
import type { CommandType } from '@mig/common/domain/command-types';
import type { Parameters, ParameterValue } from '@mig/common/domain/command';
import type { JournaledCommand } from './journal/journal.js';
import type { MigletEvent, Settings } from './machine/types.js';

export interface CommandEffects {
  send(event: MigletEvent): void;
  settle(commandId: string, outcome: NonNullable<JournaledCommand['outcome']>): void;
  setLogLevel(level: LogLevel): void;
  /** The labels that are added to those of a registration. */
  labels(): readonly string[];
  /** The runner's name if the registration names none. */
  readonly defaultRunnerName: string;
}

/** Whoever asked, an operator or the controller, did not say why. */
const NO_REASON = 'no reason given';

export function executeCommand(
  id: string,
  type: CommandType,
  parameters: Parameters,
  effects: CommandEffects,
): void {
  switch (type) {
    case 'register_runner':
      effects.send({
        type: 'register.request',
        registration: {
          commandId: id,
          runnerName: text(parameters['runner_name']) || effects.defaultRunnerName,
          runnerUrl: text(parameters['runner_url']),
          runnerGroup: text(parameters['runner_group']),
          labels: unique([
            ...list(parameters['labels']),
            // A JIT configuration has its labels already: no more can be added here.
            ...(text(parameters['jit_config']) === '' ? effects.labels() : []),
          ]),
          token: text(parameters['registration_token']),
          jitConfig: text(parameters['jit_config']),
          replace: parameters['replace'] === true,
        },
      });
      return;
    case 'drain':
      effects.send({
        type: 'drain.request',
        commandId: id,
        reason: text(parameters['reason']) || NO_REASON,
        deadlineMs: typeof parameters['deadline_ms'] === 'number' ? parameters['deadline_ms'] : undefined,
        force: parameters['force'] === true,
      });
      return;
    case 'undrain':
      effects.send({
        type: 'undrain.request',
        commandId: id,
        reason: text(parameters['reason']) || NO_REASON,
      });
      return;
    case 'shutdown':
      effects.send({
        type: 'shutdown.request',
        commandId: id,
        reason: text(parameters['reason']) || NO_REASON,
        force: parameters['force'] === true,
        poweroff: parameters['poweroff'] === true,
      });
      return;
    case 'update_config': {
      const level = logLevel(parameters['log_level']);
      if (level !== undefined) effects.setLogLevel(level);
      effects.send({ type: 'settings.update', commandId: id, settings: toSettings(parameters) });
      return;
    }
    case 'set_log_level': {
      const level = logLevel(parameters['level']);
      if (level !== undefined) effects.setLogLevel(level);
      effects.settle(id, { success: true, message: `the log level is ${level}`, result: {} });
    }
  }
}

function toSettings(parameters: Parameters): Partial<Settings> {
  const { heartbeat_interval_ms: interval, drain_deadline_ms: deadline, labels } = parameters;
  return {
    ...(typeof interval === 'number' ? { heartbeatIntervalMs: interval } : {}),
    ...(typeof deadline === 'number' ? { drainDeadlineMs: deadline } : {}),
    ...(typeof labels === 'string' ? { labels: unique(labels.split(',').map((label) => label.trim())) } : {}),
  };
}

const text = (value: ParameterValue | undefined): string => (typeof value === 'string' ? value : '');
const list = (value: ParameterValue | undefined): readonly string[] =>
  Array.isArray(value) ? (value as readonly string[]) : [];
const unique = (labels: readonly string[]): string[] => [...new Set(labels.filter((label) => label !== ''))];
const logLevel = (value: ParameterValue | undefined): LogLevel | undefined =>
  LOG_LEVELS.find((level) => level === value);
