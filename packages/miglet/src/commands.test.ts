import { describe, expect, it } from '@jest/globals';
import type { CommandType } from '@mig/common/domain/command-types';
import type { Parameters } from '@mig/common/domain/command';
import { executeCommand } from './commands.js';
import type { MigletEvent } from './machine/types.js';

function execute(type: CommandType, parameters: Parameters, labels: readonly string[] = []) {
  const sent: MigletEvent[] = [];
  const settled: unknown[] = [];
  const levels: string[] = [];
  executeCommand('c1', type, parameters, {
    send: (event) => sent.push(event),
    settle: (id, outcome) => settled.push([id, outcome]),
    setLogLevel: (level) => levels.push(level),
    labels: () => labels,
    defaultRunnerName: 'vm-1',
  });
  return { sent, settled, levels };
}

describe('commands', () => {
  it('register_runner takes what it names, and the VM its own name and labels beside it', () => {
    const parameters = {
      registration_token: 't',
      runner_url: 'https://github.com/acme',
      labels: ['linux', 'gpu'],
    };
    expect(execute('register_runner', parameters, ['gpu', 'big', '']).sent).toEqual([
      {
        type: 'register.request',
        registration: {
          commandId: 'c1',
          runnerName: 'vm-1',
          runnerUrl: 'https://github.com/acme',
          runnerGroup: '',
          labels: ['linux', 'gpu', 'big'],
          token: 't',
          replace: false,
          jitConfig: '',
        },
      },
    ]);
    // One with a JIT configuration has exactly the labels that it was made with.
    expect(execute('register_runner', { jit_config: 'j', labels: ['linux'] }, ['big']).sent[0]).toMatchObject(
      { registration: { labels: ['linux'] } },
    );
    const named = { jit_config: 'j', runner_name: 'r-7', runner_group: 'g' };
    expect(execute('register_runner', named).sent[0]).toMatchObject({
      registration: { runnerName: 'r-7', runnerGroup: 'g', jitConfig: 'j', labels: [] },
    });
  });

  it('drain without parameters is calm, with the deadline of the settings', () => {
    expect(execute('drain', {}).sent).toEqual([
      {
        type: 'drain.request',
        commandId: 'c1',
        reason: 'no reason given',
        deadlineMs: undefined,
        force: false,
      },
    ]);
  });

  it('drain hands on its reason, its deadline, also 0, and its force', () => {
    expect(execute('drain', { reason: 'kernel', deadline_ms: 0, force: true }).sent[0]).toMatchObject({
      reason: 'kernel',
      deadlineMs: 0,
      force: true,
    });
  });

  it('undrain hands on its reason, and says so if there is none', () => {
    expect(execute('undrain', { reason: 'kernel' }).sent).toEqual([
      { type: 'undrain.request', commandId: 'c1', reason: 'kernel' },
    ]);
    expect(execute('undrain', {}).sent[0]).toMatchObject({ reason: 'no reason given' });
  });

  it('shutdown neither forces nor powers off unless it says so', () => {
    expect(execute('shutdown', {}).sent).toEqual([
      {
        type: 'shutdown.request',
        commandId: 'c1',
        reason: 'no reason given',
        force: false,
        poweroff: false,
      },
    ]);
    expect(execute('shutdown', { force: true, poweroff: true }).sent[0]).toMatchObject({
      force: true,
      poweroff: true,
    });
  });

  it('update_config changes what it names and nothing else', () => {
    const { sent, levels } = execute('update_config', {
      heartbeat_interval_ms: 2_000,
      drain_deadline_ms: 0,
      log_level: 'debug',
      labels: ' a, b,,a',
    });
    expect(sent).toEqual([
      {
        type: 'settings.update',
        commandId: 'c1',
        settings: { heartbeatIntervalMs: 2_000, drainDeadlineMs: 0, labels: ['a', 'b'] },
      },
    ]);
    expect(levels).toEqual(['debug']);
    const only = execute('update_config', { labels: '' });
    expect([only.sent[0], only.levels]).toMatchObject([{ settings: { labels: [] } }, []]);
  });

  it('set_log_level is done at once and answered without the machine', () => {
    expect(execute('set_log_level', { level: 'warn' })).toEqual({
      sent: [],
      levels: ['warn'],
      settled: [['c1', { success: true, message: 'the log level is warn', result: {} }]],
    });
  });
});
