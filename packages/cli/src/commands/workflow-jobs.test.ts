import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { migctl } from '../run-migctl.contract.js';
import { ScriptedController } from '../scripted-controller.contract.js';

let controller: ScriptedController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
  controller.addVm('vm-1');
  controller.addWorkflowJob('7', {
    status: 'completed',
    conclusion: 'failure',
    runner_name: 'GitHub Actions 5',
    queued_ms: 4_000,
  });
  controller.addWorkflowJob('8', {
    status: 'in_progress',
    name: 'test',
    runner_name: 'mig-k3x9f2-vm-1-0f3c9a1e',
    vm_id: 'vm-1',
    queued_ms: 61_000,
  });
  controller.addWorkflowJob('9', { repository: 'acme/other' });
});
afterEach(() => controller.stop());
const run = (...argv: string[]) => migctl(argv, { controller });

describe('get workflow-jobs', () => {
  it('when nothing is asked for, then it prints a table: what waits, what runs and where, what ended', async () => {
    const { code, stdout } = await run('get', 'workflow-jobs');
    expect(code).toBe(0);
    expect(stdout).toBe(
      'ID   STATUS        CONCLUSION   REPOSITORY   WORKFLOW   NAME    RUNNER/VM          AGE   QUEUED-FOR\n' +
        '7    completed     failure      acme/app     CI         build   GitHub Actions 5   5m    4s\n' +
        '8    in_progress   -            acme/app     CI         test    vm-1               5m    61s\n' +
        '9    queued        -            acme/other   CI         build   -                  5m    5m\n',
    );
  });

  it('when it is filtered, then only those are shown', async () => {
    const names = async (...argv: string[]) =>
      (await run('get', 'workflow-jobs', ...argv, '-o', 'name')).stdout.trim().split('\n');
    expect(await names('--status', 'open')).toEqual(['8', '9']);
    expect(await names('--status', 'queued')).toEqual(['9']);
    expect(await names('--repo', 'acme/app')).toEqual(['7', '8']);
    expect(await names('--vm', 'vm-1')).toEqual(['8']);
  });

  it('when -o is wide, json or yaml, then it prints more, or the shape of the API', async () => {
    expect((await run('get', 'workflow-jobs', '-o', 'wide')).stdout).toMatch(
      /^8 .* 1 +108 +mig-k3x9f2-vm-1-0f3c9a1e +- +self-hosted,linux +main +01234567 +60s$/m,
    );
    const jobs = { workflow_jobs: [...controller.workflowJobs.values()] };
    expect(JSON.parse((await run('get', 'workflow-jobs', '-o', 'json')).stdout)).toEqual(jobs);
    expect(parse((await run('get', 'workflow-jobs', '-o', 'yaml')).stdout)).toEqual(jobs);
  });

  it('when an id is given, then it shows that one as an object; when it is unknown, then it exits 1', async () => {
    expect(JSON.parse((await run('get', 'workflow-job', '8', '-o', 'json')).stdout)).toEqual(
      controller.workflowJobs.get('8'),
    );
    expect(await run('get', 'workflow-job', '99')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('workflow job 99 is not known'),
    });
  });

  it('when there are several pages, then it prints all of them', async () => {
    controller.pageSize = 2;
    expect((await run('get', 'workflow-jobs', '-o', 'name')).stdout).toBe('7\n8\n9\n');
  });

  it('when none matches, then it says so and succeeds; when a VM is unknown, then it says that', async () => {
    expect(await run('get', 'workflow-jobs', '--status', 'waiting')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'No workflow job matches.\n',
    });
    expect(await run('get', 'workflow-jobs', '--vm', 'ghost')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ghost'),
    });
  });

  it.each([
    ['ids and filters', ['8', '--status', 'open']],
    ['an id that is none', ['vm-1']],
    ['a repository without its owner', ['--repo', 'app']],
    ['a status that does not exist', ['--status', 'running']],
  ])('when it is given %s, then it is a usage error and nothing is sent', async (_, argv) => {
    expect((await run('get', 'workflow-jobs', ...argv)).code).toBe(2);
    expect(controller.requests).toEqual([]);
  });

  it('when a name holds escape sequences, then the terminal gets only its text', async () => {
    controller.addWorkflowJob('10', { name: 'build\u001b[2J\nfake' });
    const { stdout } = await run('get', 'workflow-job', '10');
    expect(stdout).toContain('build fake');
    expect(stdout).not.toMatch(/[^\n\P{Cc}]/u);
  });

  it('when help is asked for, then it has examples', async () => {
    const { stdout } = await run('get', 'workflow-jobs', '--help');
    expect(stdout).toContain('$ migctl get workflow-jobs --status open');
  });
});
