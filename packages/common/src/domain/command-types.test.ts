import { describe, expect, it } from '@jest/globals';
import type { Parameters } from './command.js';
import { COMMAND_SPECS, COMMAND_TYPES, commandFaults, isCommandType } from './command-types.js';

const TOKEN = { registration_token: 'AAAA', runner_url: 'https://github.example/acme' };

describe('a good command has no fault', () => {
  it.each<[string, Parameters]>([
    ['register_runner', {}],
    ['register_runner', { labels: ['gpu'], runner_group: 'large', runner_name: 'vm-1' }],
    ['drain', {}],
    ['drain', { reason: 'update', deadline_ms: 0, force: false }],
    ['shutdown', { reason: '', force: true, poweroff: true }],
    ['update_config', { heartbeat_interval_ms: 1_000 }],
    ['update_config', { drain_deadline_ms: 0, log_level: 'trace', labels: '' }],
    ['set_log_level', { level: 'debug' }],
  ])('%s %j, as an operator submits it', (type, parameters) => {
    expect(commandFaults(type, parameters, 'submit')).toEqual([]);
  });

  it.each<Parameters>([TOKEN, { jit_config: 'e30=' }])(
    'register_runner as it reaches a VM: %j',
    (parameters) => {
      expect(commandFaults('register_runner', parameters, 'execute')).toEqual([]);
    },
  );
});

describe('a bad command: each fault names the parameter, its value and what is allowed', () => {
  it.each<[string, Parameters, string]>([
    [
      'reboot',
      {},
      'type "reboot" is unknown; the types are register_runner, drain, undrain, shutdown, update_config, set_log_level',
    ],
    [
      'constructor',
      {},
      'type "constructor" is unknown; the types are register_runner, drain, undrain, shutdown, update_config, set_log_level',
    ],
    ['drain', { reasn: 'x' }, 'parameter "reasn" is unknown for drain; it takes reason, deadline_ms, force'],
    [
      'drain',
      { constructor: 'x' },
      'parameter "constructor" is unknown for drain; it takes reason, deadline_ms, force',
    ],
    ['drain', { reason: 5 }, 'parameter reason: expected a string, got 5'],
    ['drain', { deadline_ms: '5' }, 'parameter deadline_ms: expected a whole number, got "5"'],
    ['drain', { deadline_ms: 1.5 }, 'parameter deadline_ms: expected a whole number, got 1.5'],
    [
      'drain',
      { deadline_ms: 2 ** 53 },
      'parameter deadline_ms: expected a whole number, got 9007199254740992',
    ],
    ['drain', { deadline_ms: -1 }, 'parameter deadline_ms: -1 is less than 0'],
    ['drain', { deadline_ms: 2_592_000_001 }, 'parameter deadline_ms: 2592000001 is more than 2592000000'],
    ['drain', { force: 'yes' }, 'parameter force: expected true or false, got "yes"'],
    ['drain', { reason: 'x'.repeat(32_769) }, 'parameter reason: 32769 characters are more than 32768'],
    ['shutdown', { poweroff: 1 }, 'parameter poweroff: expected true or false, got 1'],
    [
      'update_config',
      {},
      'no parameter given; update_config takes heartbeat_interval_ms, drain_deadline_ms, log_level, labels',
    ],
    [
      'update_config',
      { heartbeat_interval_ms: 999 },
      'parameter heartbeat_interval_ms: 999 is less than 1000',
    ],
    [
      'update_config',
      { heartbeat_interval_ms: 3_600_001 },
      'parameter heartbeat_interval_ms: 3600001 is more than 3600000',
    ],
    [
      'update_config',
      { log_level: 'loud' },
      'parameter log_level: "loud" is not one of trace, debug, info, warn, error, fatal',
    ],
    ['set_log_level', {}, 'parameter level is missing; it is one of trace, debug, info, warn, error, fatal'],
    [
      'set_log_level',
      { level: 'DEBUG' },
      'parameter level: "DEBUG" is not one of trace, debug, info, warn, error, fatal',
    ],
    ['register_runner', { labels: 'gpu' }, 'parameter labels: expected a list of strings, got "gpu"'],
    [
      'register_runner',
      { labels: ['a', ''] },
      'parameter labels: an entry is empty or longer than 256 characters',
    ],
    [
      'register_runner',
      { labels: ['x'.repeat(257)] },
      'parameter labels: an entry is empty or longer than 256 characters',
    ],
    [
      'register_runner',
      { labels: Array<string>(101).fill('a') },
      'parameter labels: 101 entries are more than 100',
    ],
  ])('%s %j', (type, parameters, fault) => {
    expect(commandFaults(type, parameters, 'submit')).toEqual([fault]);
    if (type !== 'register_runner') expect(commandFaults(type, parameters, 'execute')).toEqual([fault]);
  });

  it('all faults are named at once', () => {
    const faults = commandFaults('set_log_level', { force: true, reason: 'x' }, 'submit');
    expect(faults).toHaveLength(3);
  });

  it('a long value is cut', () => {
    const [fault] = commandFaults('drain', { force: 'x'.repeat(1_000) }, 'submit');
    expect(fault?.length).toBeLessThan(200);
  });
});

describe('secrets', () => {
  it.each(['registration_token', 'jit_config'])(
    '%s is not taken from an operator, and not repeated to him (I8)',
    (name) => {
      const faults = commandFaults('register_runner', { [name]: 'S3CRET' }, 'submit');
      expect(faults).toEqual([
        `parameter ${name} is a secret that the controller mints when it sends the command: leave it out`,
      ]);
    },
  );

  it('a secret of the wrong type is refused by the VM without its value (I8)', () => {
    const faults = commandFaults('register_runner', { ...TOKEN, registration_token: 42_424_242 }, 'execute');
    expect(faults.join()).not.toContain('42424242');
    expect(faults[0]).toBe('parameter registration_token: expected a string, got a number');
  });

  it.each<[Parameters, string]>([
    [{}, 'parameter registration_token is missing (or jit_config)'],
    [{ registration_token: '' }, 'parameter registration_token is missing (or jit_config)'],
    [{ registration_token: 'AAAA' }, 'parameter runner_url is missing'],
    [{ jit_config: '' }, 'parameter registration_token is missing (or jit_config)'],
  ])('a registration that reaches a VM without what it needs is refused: %j', (parameters, fault) => {
    expect(commandFaults('register_runner', parameters, 'execute')).toEqual([fault]);
  });
});

describe('the table', () => {
  it('has a spec with help for every type and parameter, and a deadline (I3)', () => {
    for (const type of COMMAND_TYPES) {
      expect(isCommandType(type)).toBe(true);
      const spec = COMMAND_SPECS[type];
      expect(spec.help).not.toBe('');
      expect(spec.executionDeadlineMs).toBeGreaterThan(0);
      for (const parameter of Object.values(spec.parameters)) expect(parameter.help).not.toBe('');
    }
  });
});
