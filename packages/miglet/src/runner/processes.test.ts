/** With real processes: who is taken for the listener, and who only has its path among its arguments. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { findProcess } from './processes.js';

let folder: string;
let program: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-processes-'));
  program = path.join(folder, 'Runner.Listener');
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await gone;
  }
  rmSync(folder, { recursive: true });
});

const MARKED = { MARK: 'x' };
/** Waits for its input to end, and says first that it runs. @returns its number */
async function start(
  file: string,
  args: readonly string[],
  env: Record<string, string> = MARKED,
): Promise<number> {
  const child = spawn(file, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  children.push(child);
  await until('it runs', () => child.stdout.read() !== null);
  return child.pid ?? 0;
}
const NODE_SCRIPT = 'console.log(1); process.stdin.resume();';
function write(text: string): void {
  writeFileSync(program, text);
  chmodSync(program, 0o755);
}
const find = (): number | undefined => findProcess(program, 'run', 'MARK');

describe('the process that runs a program', () => {
  it('is found by its command line when an interpreter runs it', async () => {
    write(`#!${process.execPath}\n${NODE_SCRIPT}`);
    expect(await start(program, ['run'])).toBe(find());
  });

  it('is found when it is the program itself', async () => {
    const child = spawn('cat', ['run', '-'], {
      argv0: program,
      cwd: folder,
      env: MARKED,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    children.push(child);
    expect(await until('it is found', find)).toBe(child.pid);
  });

  it.each<[string, (file: string) => [string, string[]]]>([
    ['reads it', (file) => ['tail', ['-n', '+1', '-f', file]]],
    ['reads it and a file of the name of its argument', (file) => ['tail', [file, 'run', '-f']]],
    [
      'has it among the arguments of a script',
      (file) => [process.execPath, ['-e', NODE_SCRIPT, file, 'run']],
    ],
    ['runs it for something else', (file) => [file, ['configure']]],
  ])('is not one that %s', async (_what, command) => {
    write(`#!${process.execPath}\n${NODE_SCRIPT}`);
    const [file, args] = command(program);
    await start(file, args);
    expect(find()).toBeUndefined();
  });

  it('is not one that somebody else started, without the mark', async () => {
    write(`#!${process.execPath}\n${NODE_SCRIPT}`);
    await start(program, ['run'], { OTHER: 'MARK=x' });
    expect(find()).toBeUndefined();
  });
});
