import { describe, expect, it } from '@jest/globals';
import { readCommandLine } from './command-line.js';

describe('command line', () => {
  it('reads the command, values and flags, and keeps what it does not know', () => {
    const line = readCommandLine(['configure', '--url', 'http://x', '--ephemeral', '--wat', 'extra'], {});
    expect([line.command, line.value('url'), line.flag('ephemeral'), line.flag('replace')]).toEqual([
      'configure',
      'http://x',
      true,
      false,
    ]);
    expect(line.unknown).toEqual(['--wat', 'extra']);
  });

  it('reads the environment, takes it out of there, and lets arguments win', () => {
    const env: NodeJS.ProcessEnv = {
      ACTIONS_RUNNER_INPUT_TOKEN: 'from-env',
      ACTIONS_RUNNER_INPUT_NAME: 'from-env',
      ACTIONS_RUNNER_INPUT_REPLACE: 'true',
      ACTIONS_RUNNER_INPUT_EPHEMERAL: 'false',
      ACTIONS_RUNNER_INPUT_NO_DEFAULT_LABELS: '1',
      PATH: '/bin',
    };
    const line = readCommandLine(['configure', '--name', 'from-arguments'], env);
    expect([line.value('token'), line.value('name')]).toEqual(['from-env', 'from-arguments']);
    expect([line.flag('replace'), line.flag('ephemeral'), line.flag('no-default-labels')]).toEqual([
      true,
      false,
      true,
    ]);
    expect(env).toEqual({ PATH: '/bin' });
  });
});
