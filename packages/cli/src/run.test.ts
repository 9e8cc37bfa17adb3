import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { createOutput } from './output/output.js';
import { createProgram } from './program.js';
import { JumpingClock, migctl, type RunOptions } from './run-migctl.contract.js';
import { ScriptedController } from './scripted-controller.contract.js';

let controller: ScriptedController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
  controller.addVm('vm-1');
});
afterEach(() => controller.stop());
const run = (line: string, options: RunOptions = {}) => migctl(line.split(' '), { controller, ...options });

/** `drain`, `get vms`, … : every command that does something, and the groups. */
function allCommands(): string[][] {
  const nothing = createOutput({ write: () => undefined, on: () => undefined });
  const { command } = createProgram({
    stdout: nothing,
    stderr: nothing,
    env: {},
    clock: new JumpingClock(),
    fetch: globalThis.fetch,
    interrupted: new AbortController().signal,
    ask: undefined,
    newKey: () => '',
    random: () => 0,
  });
  const below = (parent: Command, path: string[]): string[][] =>
    parent.commands.flatMap((child) => [[...path, child.name()], ...below(child, [...path, child.name()])]);
  return below(command, []);
}

describe('help', () => {
  it('when nothing is typed, then it prints the help and succeeds', async () => {
    const { code, stdout, stderr } = await migctl([]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('Usage: migctl');
    expect(stdout).toContain('Exit codes: 0 done, 1 failed, 2 wrong usage, 3 timed out');
  });

  it.each(allCommands().map((path) => [path.join(' ')]))(
    'when `migctl %s --help` is run, then it has a description and an example',
    async (path) => {
      const { code, stdout, stderr } = await run(`${path} --help`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const [usage = '', , description = ''] = stdout.split('\n');
      expect(usage).toContain(`Usage: migctl ${path}`);
      expect(description.length).toBeGreaterThan(10);
      expect(stdout).toMatch(/^Examples:\n {2}\$ (source <\()?migctl /m);
      expect(stdout).toContain('--server');
    },
  );

  it('when all commands are counted, then none that was promised is missing', () => {
    expect(allCommands().map((path) => path.join(' '))).toEqual(
      expect.arrayContaining(
        'get vms,get drains,get commands,get events,get heartbeats,get runners,describe github,describe vm,describe drain,drain,undrain,wait drain,cordon,uncordon,shutdown,register,set-log-level,update-config,cancel command,events,completion,version'.split(
          ',',
        ),
      ),
    );
  });

  it('when it is asked for by `help`, then it is the same', async () => {
    expect((await run('help drain')).stdout).toBe((await run('drain --help')).stdout);
  });
});

describe('wrong usage', () => {
  it.each([
    ['drian vm-1', '(Did you mean drain?)'],
    ['get vmz -o json', 'there is no resource "vmz" to get (did you mean vms?)'],
    ['get zebras', 'the resources are vms, drains, commands, workflow-jobs, events, heartbeats'],
    ['describe pod x', 'the resources are vm, drain'],
    ['wait command x', 'the resources are drain'],
    ['wait drain', "missing required argument 'drain-id'"],
    [
      'get vms --state redy',
      '"redy" (did you mean ready?)\nhint: the phases are booting, registering, ready, draining, shutdown',
    ],
    ['get vms --eligible perhaps', 'Allowed choices are true, false'],
    ['get drains --state over', 'Allowed choices are active, completed, cancelled'],
    ['get drains drain-1 --state active', 'exclude each other'],
    ['get drains a/b', 'cannot be the id of a drain'],
    ['get vms --pol linux', '(Did you mean --pool?)'],
    ['get vms --liveness dead', 'Allowed choices are alive, suspect, lost'],
    ['get events --tail 0', 'from 1 to 10000'],
    ['get vms --pool a/b', 'begin with a letter or a digit'],
    ['describe vm', "missing required argument 'vm'"],
    ['completion tcsh', 'Allowed choices are bash, zsh, fish'],
    ['version extra', 'too many arguments'],
    ['get', 'Resources:'],
  ])('when the line is `migctl %s`, then it exits 2 and says: %s', async (line, message) => {
    expect(await run(line)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) });
    expect(controller.requests).toEqual([]);
  });
});

describe('version', () => {
  it('when a controller answers, then both versions are printed', async () => {
    expect(await run('version')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^migctl {6}\d.*\ncontroller {2}9\.9\.9 \(http/),
    });
  });

  it('when none answers, then that is no failure', async () => {
    await controller.stop();
    expect(await run('version')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('does not answer'),
    });
    expect(JSON.parse((await run('version -o json')).stdout)).toMatchObject({ controller: null });
    expect((await run('-V')).stdout).toMatch(/^migctl \d+\.\d+\.\d+\n$/);
  });
});

describe('colours', () => {
  const GREEN = '\u001b[32mready.idle\u001b[39m';
  it.each<[string, RunOptions, boolean]>([
    ['a terminal', { tty: true }, true],
    ['a pipe', {}, false],
    ['a terminal with NO_COLOR', { tty: true, env: { NO_COLOR: '1' } }, false],
    ['a pipe with FORCE_COLOR', { env: { FORCE_COLOR: '1' } }, true],
    ['a terminal with FORCE_COLOR=0', { tty: true, env: { FORCE_COLOR: '0' } }, false],
    ['a pipe with both', { env: { NO_COLOR: '1', FORCE_COLOR: '1' } }, false],
    ['a dumb terminal', { tty: true, env: { TERM: 'dumb' } }, false],
  ])('when stdout is %s, then there are colours: %#', async (_, options, coloured) => {
    const env = { ...options.env, MIGCTL_SERVER: controller.url };
    expect((await run('get vms', { ...options, env })).stdout.includes(GREEN)).toBe(coloured);
  });

  it('when cells are coloured, then the columns stay in line', async () => {
    controller.addVm('vm-2', { state: 'shutdown.done', link: 'disconnected', liveness: 'suspect' });
    const { stdout } = await run('get vms', { env: { FORCE_COLOR: '1' } });
    const places = stdout
      .trim()
      .split('\n')
      // eslint-disable-next-line no-control-regex -- colours are what this takes away
      .map((line) => line.replace(/\u001b\[\d+m/g, '').search(/LIVENESS|alive|suspect/));
    expect(new Set(places).size).toBe(1);
  });
});

describe('writing', () => {
  it('when the error of the last write comes late, then it still counts', async () => {
    const late = new Writable({
      write: (_chunk, _encoding, done) =>
        void setImmediate(done, Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' })),
    });
    expect((await run('get vms', { stdout: late })).code).toBe(1);
  });

  const failing = (code: string) =>
    new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error(`write ${code}`), { code })),
    });

  it('when the reader has gone, then it ends quietly', async () => {
    expect(await run('get vms', { stdout: failing('EPIPE') })).toMatchObject({ code: 0, stderr: '' });
  });

  it('when the reader of a shutdown has gone, then every VM gets its command all the same', async () => {
    controller.addVm('vm-2');
    expect(await run('shutdown --all --yes', { stdout: failing('EPIPE') })).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect(Object.keys(controller.submissions())).toHaveLength(2);
  });

  it('when the disk is full, then that is a failure', async () => {
    expect(await run('events -f', { stdout: failing('ENOSPC') })).toMatchObject({
      code: 1,
      stderr: 'error: cannot write the output: write ENOSPC\n',
    });
  });
});
