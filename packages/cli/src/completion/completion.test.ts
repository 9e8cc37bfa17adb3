import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { migctl } from '../run-migctl.contract.js';
import { ScriptedController } from '../scripted-controller.contract.js';

let controller: ScriptedController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
  controller.addVm('vm-1');
  controller.addVm('vm-2');
  controller.addVm('gpu-1', { pool_id: 'gpu' });
  controller.addCommand('cmd-1', 'vm-1');
  controller.addCommand('cmd-2', 'vm-1', { state: 'received' });
  controller.drains.add({ 'vm-1': { state: 'done' } }, { id: 'drain-1', state: 'completed' });
  controller.drains.add({ 'vm-2': {} }, { id: 'drain-2' });
  controller.addWorkflowJob('7', { status: 'completed' });
  controller.addWorkflowJob('8');
});
afterEach(() => controller.stop());

/** What is offered after these words; `_` stands for an empty word. */
async function offered(line: string): Promise<string[]> {
  const words = line.split(' ').map((word) => (word === '_' ? '' : word));
  const { code, stdout, stderr } = await migctl(['complete', '--', ...words], { controller });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout
    .trim()
    .split('\n')
    .map((each) => each.split('\t')[0] ?? '');
}

describe('what is offered', () => {
  it.each([
    ['dr', ['drain', ':4']],
    [
      'get _',
      [
        'vms',
        'drains',
        'commands',
        'workflow-jobs',
        'events',
        'heartbeats',
        'runners',
        'tasks',
        'jobs',
        'nodes',
        ':4',
      ],
    ],
    ['get vms v', ['vm-1', 'vm-2', ':4']],
    ['get vm _', ['vm-1', 'vm-2', 'gpu-1', ':4']],
    ['describe vm g', ['gpu-1', ':4']],
    ['describe _', ['vm', 'drain', 'github', 'job', ':4']],
    ['describe github _', [':4']],
    ['get runners --vm g', ['gpu-1', ':4']],
    ['get runners --f', ['--findings', ':4']],
    ['drain vm-1 _', ['vm-2', 'gpu-1', ':4']],
    ['drain --reason because vm', ['vm-1', 'vm-2', ':4']],
    ['drain --reason _', [':4']],
    ['drain --pool _', ['linux', 'gpu', ':4']],
    ['drain --pool=g', ['gpu', ':4']],
    ['get vms -o j', ['json', ':4']],
    ['get vms --output=y', ['yaml', ':4']],
    ['get vms --live', ['--liveness', ':4']],
    ['get vms --liveness _', ['alive', 'suspect', 'lost', ':4']],
    ['get commands --vm g', ['gpu-1', ':4']],
    ['get commands --state se', ['sent', ':4']],
    ['get vms --serv', ['--server', ':4']],
    ['set-log-level vm-1 de', ['debug', ':4']],
    ['update-config vm-1 heartbeat_interval', ['heartbeat_interval=', 'heartbeat_interval_ms=', ':6']],
    ['update-config vm-1 log_level=de', ['log_level=debug', ':4']],
    ['cancel command _', ['cmd-1', ':4']],
    ['get vms --state re', ['registering', 'ready', ':4']],
    ['get vms --eligible _', ['true', 'false', ':4']],
    ['get drains --state a', ['active', ':4']],
    ['get drain _', ['drain-1', 'drain-2', ':4']],
    ['get workflow-job _', ['8', ':4']],
    ['get workflow-jobs --status wai', ['waiting', ':4']],
    ['get workflow-jobs --vm g', ['gpu-1', ':4']],
    ['describe drain drain-1 _', ['drain-2', ':4']],
    ['wait _', ['drain', ':4']],
    ['wait drain drain-2', ['drain-2', ':4']],
    ['undrain _', ['drain-2', 'vm-1', 'vm-2', 'gpu-1', ':4']],
    ['drain vm-1 --then _', ['shutdown', 'keep', ':4']],
    ['drain vm-1 --deadline n', ['none', ':4']],
    ['cordon vm-2 v', ['vm-1', ':4']],
    ['uncordon --pool g', ['gpu', ':4']],
    ['completion z', ['zsh', ':4']],
    ['version _', [':4']],
    ['nonsense _', [':4']],
  ])('when the words are `%s`, then %j', async (line, expected) => {
    expect(await offered(line)).toEqual(expected);
  });

  it('when --server is typed, then its VMs are offered', async () => {
    const { stdout } = await migctl(['complete', '--', '--server', controller.url, 'drain', 'gp'], {
      env: { MIGCTL_SERVER: 'http://127.0.0.1:1' },
    });
    expect(stdout).toBe('gpu-1\t\n:4\n');
  });

  it('when no controller answers, or it answers nonsense, then nothing is offered and nothing is said', async () => {
    controller.intercept = (_, response) => {
      response.end('{"vms":[{"vm_id":"$(touch /tmp/owned)"},null,7]}');
      return true;
    };
    expect(await offered('drain _')).toEqual([':4']);
    await controller.stop();
    expect(await offered('drain _')).toEqual([':4']);
  });
});

describe('the scripts', () => {
  it.each(['bash', 'zsh', 'fish'])('when the shell is %s, then the script asks migctl', async (shell) => {
    const { code, stdout } = await migctl(['completion', shell]);
    expect(code).toBe(0);
    expect(stdout).toContain('migctl complete -- ');
  });

  describe('in a real bash', () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'migctl-completion-'));
      await writeFile(path.join(folder, 'script'), (await migctl(['completion', 'bash'])).stdout);
    });
    afterEach(() => rm(folder, { recursive: true }));

    /** Sources the script twice, presses Tab after these words; migctl is a stand-in that keeps what it is asked. */
    async function pressTab(
      words: readonly string[],
      answer: string,
    ): Promise<{ asked: string[]; replies: string[] }> {
      const test = `
        set -u
        source "$1"; source "$1"; shift
        migctl() { printf '<%s>' "$@" >&3; printf '%b' ${JSON.stringify(answer)}; }
        COMP_WORDS=(migctl "$@"); COMP_CWORD=$#
        _migctl 3>&2
        printf '%s\\n' "\${COMPREPLY[@]}"`;
      const bash = spawn('bash', ['--norc', '-c', test, 'bash', path.join(folder, 'script'), ...words], {
        cwd: folder,
      });
      let stdout = '';
      let stderr = '';
      bash.stdout.on('data', (chunk) => (stdout += String(chunk)));
      bash.stderr.on('data', (chunk) => (stderr += String(chunk)));
      await once(bash, 'close');
      const asked = [...stderr.matchAll(/<([^>]*)>/g)].map(([, word]) => word ?? '');
      expect(stderr.replace(/<[^>]*>/g, '')).toBe('');
      return { asked, replies: stdout.trim().split('\n') };
    }

    it('when Tab is pressed, then migctl gets the words as they are, and nothing in them is run', async () => {
      const { asked, replies } = await pressTab(
        ['drain', '--reason', '$(touch owned; echo x)', ''],
        'vm-1\\tone\\nvm-2\\t\\n:4\\n',
      );
      expect(asked).toEqual(['complete', '--', 'drain', '--reason', '$(touch owned; echo x)', '']);
      expect(replies).toEqual(['vm-1', 'vm-2']);
    });

    it('when a word has `=` in it, then bash has split it, and it is put together again', async () => {
      const { asked, replies } = await pressTab(
        ['update-config', 'vm-1', 'log_level', '=', 'de'],
        'log_level=debug\\t\\n:4\\n',
      );
      expect(asked).toEqual(['complete', '--', 'update-config', 'vm-1', 'log_level=de']);
      expect(replies).toEqual(['debug']);
    });
  });
});
