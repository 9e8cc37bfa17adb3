/**
 * The commands, as data: what each takes, what is secret, how long it may take.
 *
 * Both sides read this table: the controller refuses a bad command at its API, the MIGlet refuses one that came from
 * anywhere else. Names and types of parameters are the contract of proto/commands.proto.
 */
import { LOG_LEVELS } from './log-level.js';
import type { Parameters, ParameterValue } from './command.js';

export const COMMAND_TYPES = [
  'register_runner',
  'drain',
  'undrain',
  'shutdown',
  'update_config',
  'set_log_level',
] as const;
export type CommandType = (typeof COMMAND_TYPES)[number];

/** One parameter. */
export interface ParameterSpec {
  readonly kind: 'string' | 'int' | 'bool' | 'strings';
  /** For a person: what it does, its unit, its default. */
  readonly help: string;
  readonly required?: boolean;
  /** Never stored, logged or taken from an operator: the controller mints it when it sends the command. */
  readonly secret?: boolean;
  readonly oneOf?: readonly string[];
  /** Bounds of an `int`, inclusive. */
  readonly min?: number;
  readonly max?: number;
}

export interface CommandSpec {
  readonly help: string;
  readonly parameters: Readonly<Record<string, ParameterSpec>>;
  /** How long after its delivery deadline its result is expected, if its submitter says nothing; milliseconds. */
  readonly executionDeadlineMs: number;
  /** Must name at least one parameter. */
  readonly atLeastOne?: boolean;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** How long a command waits for its VM, if its submitter says nothing: 1 hour. */
export const DEFAULT_DELIVERY_DEADLINE_MS = 60 * MINUTE_MS;
/** The longest deadline of either kind: 30 days. */
export const MAX_DEADLINE_MS = 30 * DAY_MS;
/** Longest string parameter; a JIT config is the largest, and some kilobytes. */
const MAX_STRING_LENGTH = 32 * 1024;
/** Most labels of one runner (GitHub's REST description, generate-jitconfig: maxItems 100). */
const MAX_LABELS = 100;
const MAX_LABEL_LENGTH = 256;

const reason: ParameterSpec = { kind: 'string', help: 'why, for people; goes into events and logs' };

export const COMMAND_SPECS: Readonly<Record<CommandType, CommandSpec>> = {
  register_runner: {
    help: 'register and start the GitHub runner',
    executionDeadlineMs: 15 * MINUTE_MS,
    parameters: {
      registration_token: { kind: 'string', secret: true, help: 'registration token of GitHub' },
      jit_config: { kind: 'string', secret: true, help: 'JIT config of GitHub, instead of a token' },
      runner_url: { kind: 'string', help: 'URL of the organization, repository or enterprise' },
      runner_group: { kind: 'string', help: 'runner group; default: as the pool is configured' },
      runner_name: { kind: 'string', help: 'runner name; default: from vm_id and boot' },
      expires_at: { kind: 'string', help: 'when the token ends, RFC 3339' },
      labels: { kind: 'strings', help: 'labels; default: as the pool is configured' },
      replace: {
        kind: 'bool',
        help: 'replace a runner that is registered and has no job; default false: it stays',
      },
    },
  },
  drain: {
    help: 'take no more jobs, let the running one end, then stop the runner',
    // A job on a self-hosted runner may take 5 days (GitHub Docs, "Usage limits").
    executionDeadlineMs: 7 * DAY_MS,
    parameters: {
      reason,
      deadline_ms: {
        kind: 'int',
        min: 0,
        max: MAX_DEADLINE_MS,
        help: 'after this the running job is ended; 0 = never; default: as the MIGlet is configured',
      },
      force: { kind: 'bool', help: 'end the running job at once; default false' },
    },
  },
  undrain: {
    help: 'take the drain back: the VM is registered again when its job, if one runs, has ended',
    executionDeadlineMs: 5 * MINUTE_MS,
    parameters: { reason },
  },
  shutdown: {
    help: 'drain, then end the MIGlet',
    executionDeadlineMs: 7 * DAY_MS,
    parameters: {
      reason,
      force: { kind: 'bool', help: 'end the running job at once; default false' },
      poweroff: { kind: 'bool', help: 'power the VM off at the end; default false' },
    },
  },
  update_config: {
    help: 'change settings of the MIGlet until it is restarted',
    executionDeadlineMs: 5 * MINUTE_MS,
    atLeastOne: true,
    parameters: {
      heartbeat_interval_ms: {
        kind: 'int',
        min: 1_000,
        max: 60 * MINUTE_MS,
        help: 'time between two heartbeats',
      },
      drain_deadline_ms: {
        kind: 'int',
        min: 0,
        max: MAX_DEADLINE_MS,
        help: 'deadline of a drain that names none; 0 = never',
      },
      log_level: { kind: 'string', oneOf: LOG_LEVELS, help: 'verbosity of the log' },
      labels: { kind: 'string', help: 'labels at the next registration, comma-separated; empty = none' },
    },
  },
  set_log_level: {
    help: 'change the verbosity of the log',
    executionDeadlineMs: 5 * MINUTE_MS,
    parameters: {
      level: { kind: 'string', required: true, oneOf: LOG_LEVELS, help: 'verbosity of the log' },
    },
  },
};

export const isCommandType = (type: string): type is CommandType =>
  (COMMAND_TYPES as readonly string[]).includes(type);

/**
 * Everything that is wrong with a command, each fault naming the parameter, its value and what is allowed.
 *
 * @param side `submit`: as an operator hands it in, secrets refused. `execute`: as it reaches a VM, secrets needed.
 * @returns an empty list if it is good
 */
export function commandFaults(type: string, parameters: Parameters, side: 'submit' | 'execute'): string[] {
  if (!isCommandType(type)) {
    return [`type ${JSON.stringify(type)} is unknown; the types are ${COMMAND_TYPES.join(', ')}`];
  }
  const spec = COMMAND_SPECS[type];
  const faults: string[] = [];
  for (const [name, value] of Object.entries(parameters)) {
    const parameter = Object.hasOwn(spec.parameters, name) ? spec.parameters[name] : undefined;
    if (parameter === undefined) {
      faults.push(
        `parameter ${JSON.stringify(name)} is unknown for ${type}; it takes ${Object.keys(spec.parameters).join(', ')}`,
      );
    } else if (parameter.secret && side === 'submit') {
      faults.push(
        `parameter ${name} is a secret that the controller mints when it sends the command: leave it out`,
      );
    } else {
      const fault = valueFault(parameter, value);
      if (fault !== undefined) faults.push(`parameter ${name}: ${fault}`);
    }
  }
  for (const [name, parameter] of Object.entries(spec.parameters)) {
    if (parameter.required && !Object.hasOwn(parameters, name)) {
      faults.push(
        `parameter ${name} is missing${parameter.oneOf ? `; it is one of ${parameter.oneOf.join(', ')}` : ''}`,
      );
    }
  }
  if (spec.atLeastOne && Object.keys(parameters).length === 0) {
    faults.push(`no parameter given; ${type} takes ${Object.keys(spec.parameters).join(', ')}`);
  }
  if (type === 'register_runner' && side === 'execute') faults.push(...registrationFaults(parameters));
  return faults;
}

function registrationFaults(parameters: Parameters): string[] {
  if (nonEmpty(parameters['jit_config'])) return [];
  if (!nonEmpty(parameters['registration_token']))
    return ['parameter registration_token is missing (or jit_config)'];
  if (!nonEmpty(parameters['runner_url'])) return ['parameter runner_url is missing'];
  return [];
}

const nonEmpty = (value: ParameterValue | undefined): boolean => typeof value === 'string' && value !== '';

const KIND_NAMES = {
  string: 'a string',
  int: 'a whole number',
  bool: 'true or false',
  strings: 'a list of strings',
};

function valueFault(spec: ParameterSpec, value: ParameterValue): string | undefined {
  if (!hasKind(spec.kind, value)) return `expected ${KIND_NAMES[spec.kind]}, got ${describe(spec, value)}`;
  if (spec.oneOf && !spec.oneOf.includes(value as string)) {
    return `${describe(spec, value)} is not one of ${spec.oneOf.join(', ')}`;
  }
  if (typeof value === 'number') {
    if (spec.min !== undefined && value < spec.min) return `${value} is less than ${spec.min}`;
    if (spec.max !== undefined && value > spec.max) return `${value} is more than ${spec.max}`;
  }
  if (typeof value === 'string' && value.length > MAX_STRING_LENGTH) {
    return `${value.length} characters are more than ${MAX_STRING_LENGTH}`;
  }
  if (Array.isArray(value)) {
    if (value.length > MAX_LABELS) return `${value.length} entries are more than ${MAX_LABELS}`;
    if (value.some((entry: string) => entry === '' || entry.length > MAX_LABEL_LENGTH)) {
      return `an entry is empty or longer than ${MAX_LABEL_LENGTH} characters`;
    }
  }
  return undefined;
}

function hasKind(kind: ParameterSpec['kind'], value: ParameterValue): boolean {
  switch (kind) {
    case 'string':
      return typeof value === 'string';
    case 'int':
      return Number.isSafeInteger(value);
    case 'bool':
      return typeof value === 'boolean';
    case 'strings':
      return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
  }
}

function describe(spec: ParameterSpec, value: ParameterValue): string {
  if (spec.secret) return `a ${typeof value}`;
  return `${JSON.stringify(value).slice(0, 100)}`;
}
