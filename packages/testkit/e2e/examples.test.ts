/** docs/tasks-and-jobs.md: every command in it is run, in its order, on a VM of that name, and says what the text says that it says. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { jobSpecSchema } from '@mig/common/api/job-spec';
import { startStandInEngine, type StandInEngine } from '@mig/testkit/docker/stand-in-engine';
import { until } from '@mig/testkit/github/until';
import { startControllerProcess, type ControllerProcess } from './controller-process.js';
import { createMigletFolder, type MigletFolder, type MigletProcess } from './miglet-process.js';
import { ROOT, type Finished } from './system.js';

const TEXT = readFileSync(path.join(ROOT, 'docs', 'tasks-and-jobs.md'), 'utf8');
const MIGCTL = path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js');

interface Example {
  readonly command: string;
  readonly exitCode: number;
  /** Lines; `…` stands for any text, and alone in a line for any lines. */
  readonly output: readonly string[];
}

/** Blocks of the language, without their fences. */
const blocks = (language: string): string[] =>
  [...TEXT.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map((match) => match[1] ?? '');

const examples: Example[] = blocks('console').flatMap((block) =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [first = '', ...output] = part.trimEnd().split('\n');
      const [, command = '', code = '0'] = /^(.*?)(?:\s+# exit code (\d+))?$/.exec(first) ?? [];
      return { command, exitCode: Number(code), output };
    }),
);

function toPattern(lines: readonly string[]): RegExp {
  const parts = lines.map((line) =>
    line === '…'
      ? '(?:[^\\n]*\\n)*'
      : `${line
          .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
          .replaceAll('…', '[^\\n]*')
          .replace(/ {2,}/g, ' +')}\\n`,
  );
  return new RegExp(`^${parts.join('')}$`);
}

let folder = '';
let controller: ControllerProcess;
let engine: StandInEngine;
let vm: MigletFolder;
let miglet: MigletProcess;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-examples-'));
  controller = await startControllerProcess(path.join(folder, 'data'));
  engine = await startStandInEngine(path.join(folder, 'docker.sock'));
  vm = createMigletFolder({
    MIGLET_VM_ID: 'demo-vm-1',
    MIGLET_POOL_ID: 'demo',
    ...controller.member,
    MIGLET_TASKS_ENABLED: 'true',
    MIGLET_TASKS_DOCKER_SOCKET: engine.socketPath,
    MIGLET_JOBS_ENABLED: 'true',
    MIGLET_JOBS_POLL: '1s',
    MIGLET_JOBS_DATACENTER: 'dc1',
  });
  miglet = vm.start();
  await until('it takes tasks', () => vm.log.some(({ event }) => event === 'tasks_connected'), 20_000);
  mkdirSync(path.join(folder, 'bin'));
  const migctl = path.join(folder, 'bin', 'migctl');
  writeFileSync(migctl, `#!/bin/sh\nexec '${process.execPath}' '${MIGCTL}' "$@"\n`);
  chmodSync(migctl, 0o755);
  for (const block of blocks('yaml')) {
    const [, name = ''] = /^# (\S+\.yaml)\n/.exec(block) ?? [];
    // The lines of faults are counted without the name of the file.
    writeFileSync(path.join(folder, name), block.replace(/^.*\n/, ''));
  }
}, 60_000);

afterAll(async () => {
  miglet.signal('SIGKILL');
  await miglet.exited;
  vm.cleanUp();
  await engine.close();
  await controller.stop();
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

/** As at a terminal: both outputs in one, and variables that were set before. */
const variables: Record<string, string> = {};
function shell(command: string): Promise<Finished> {
  const child = spawn('/bin/sh', ['-c', `${command} 2>&1`], {
    cwd: folder,
    env: {
      ...variables,
      PATH: `${path.join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      ...controller.operator,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr: '' })));
}

describe('docs/tasks-and-jobs.md', () => {
  test('has examples', () => expect(examples.length).toBeGreaterThan(20));

  test.each(examples.map((example) => [example.command, example] as const))('%s', async (_, example) => {
    const { command, exitCode, output } = example;
    const assignment = /^(\w+)=\$\((.*)\)$/.exec(command);
    const { code, stdout } = await shell(assignment?.[2] ?? command);
    if (assignment !== null) variables[assignment[1] ?? ''] = stdout.trim();
    expect({ command, code, stdout }).toEqual({
      command,
      code: exitCode,
      stdout: assignment === null ? expect.stringMatching(toPattern(output)) : expect.any(String),
    });
  });

  test('the table has every field of the specification', () => {
    const named = [...TEXT.matchAll(/^\| `([a-z_.[\]]+)`/gm)].map((match) => match[1]?.split(/[.[]/)[0]);
    for (const field of Object.keys(jobSpecSchema.shape)) expect(named).toContain(field);
  });
});
