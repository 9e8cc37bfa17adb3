import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { until } from '@mig/testkit/github/until';
import { taskEnvironment } from './environment.js';
import { orphansOf } from './processes.js';
import { runShell, type ShellOptions } from './shell.js';
import type { TaskOutput } from './task-output.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-shell-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Written extends TaskOutput {
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly order: string[];
  bytes: number;
}

function collect(): Written {
  const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const written: Written = {
    stdout: () => Buffer.concat(chunks.stdout).toString(),
    stderr: () => Buffer.concat(chunks.stderr).toString(),
    order: [],
    bytes: 0,
    write(stream, data) {
      chunks[stream].push(Buffer.from(data));
      written.order.push(stream);
      written.bytes += data.length;
      return Promise.resolve();
    },
  };
  return written;
}

function start(cmd: string, options: Partial<ShellOptions> = {}, env: readonly string[] = []) {
  const output = collect();
  const abort = new AbortController();
  const result = runShell(
    { kind: 'shell', cmd, env, workingDir: '' },
    {
      taskId: 'task-1',
      env: taskEnvironment({ ...process.env, SECRET: 'of the MIGlet' }, folder),
      workingDir: folder,
      closedDir: path.join(folder, 'runner'),
      graceMs: 300,
      rawOutput: false,
      output,
      signal: abort.signal,
      ...options,
    },
  );
  return { output, result, abort };
}

const pidsIn = (file: string): number[] => {
  try {
    return readFileSync(path.join(folder, file), 'utf8').trim().split(/\s+/).map(Number);
  } catch {
    return [];
  }
};
const isAlive = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
};

describe('a command that runs to its end', () => {
  it('gives its output, each stream in its order, and its exit code', async () => {
    const { output, result } = start('echo one; echo two >&2; pwd; exit 7');
    expect(await result).toEqual({ success: false, exitCode: 7, signal: '', message: '' });
    expect(output.stdout()).toBe(`one\n${folder}\n`);
    expect(output.stderr()).toBe('two\n');
  });

  it('has its own environment, and nothing of the MIGlet', async () => {
    const { output, result } = start('echo "$NAME-$SECRET-$EMPTY"', {}, ['NAME=a=b c', 'EMPTY=']);
    await result;
    expect(output.stdout()).toBe('a=b c--\n');
  });

  it('that a signal ends says which, and 128 and its number', async () => {
    const { result } = start('kill -KILL $$');
    expect(await result).toMatchObject({ success: false, exitCode: 137, signal: 'SIGKILL' });
  });

  it('in a folder that is not there fails, and names the folder', async () => {
    const { result } = start('true', { workingDir: path.join(folder, 'nowhere') });
    const { success, message } = await result;
    expect(success).toBe(false);
    expect(message).toContain('nowhere');
  });

  it("in the runner's folder is refused, also by another name for it", async () => {
    const inside = path.join(folder, 'runner', '_work');
    mkdirSync(inside, { recursive: true });
    symlinkSync(inside, path.join(folder, 'alias'));
    for (const workingDir of [path.dirname(inside), inside, path.join(folder, 'alias')]) {
      const { output, result } = start('echo ran', { workingDir });
      expect(await result).toMatchObject({ success: false, message: expect.stringContaining('runner') });
      expect(output.stdout()).toBe('');
    }
    mkdirSync(path.join(folder, 'runner-up'));
    expect(await start('true', { workingDir: path.join(folder, 'runner-up') }).result).toMatchObject({
      success: true,
    });
  });

  it('leaves no process behind, though it put one in the background that left its group', async () => {
    const { result } = start(
      'setsid sh -c "echo \\$\\$ > away; exec sleep 600" >/dev/null 2>&1 & while [ ! -s away ]; do sleep 0.05; done; sleep 600 & echo $! > left; exit 0',
    );
    expect(await result).toMatchObject({ success: true, exitCode: 0 });
    for (const pid of [...pidsIn('away'), ...pidsIn('left')]) expect(isAlive(pid)).toBe(false);
    expect(pidsIn('away').length + pidsIn('left').length).toBe(2);
    expect(orphansOf(folder)).toEqual([]);
  });

  it('is not cut short when a helper writes on for a moment', async () => {
    const { output, result } = start('(sleep 0.3; echo late) & echo early');
    await result;
    expect(output.stdout()).toBe('early\nlate\n');
  });
});

describe('a command that is cancelled', () => {
  it('is ended with all that it started, also what takes no notice of SIGTERM and has left its group', async () => {
    const { result, abort } = start(
      `trap '' TERM; setsid sh -c "trap '' TERM; echo \\$\\$ > a; while :; do sleep 1; done" & sh -c 'trap "" TERM; echo $$ > b; while :; do sleep 1; done' & wait`,
    );
    await until('both run', () => pidsIn('a').length === 1 && pidsIn('b').length === 1);
    abort.abort();
    expect(await result).toMatchObject({ success: false, signal: 'SIGKILL', exitCode: 137 });
    for (const pid of [...pidsIn('a'), ...pidsIn('b')]) expect(isAlive(pid)).toBe(false);
    expect(orphansOf(folder)).toEqual([]);
  });

  it('may end by itself within the grace, and its last words are heard', async () => {
    const { output, result, abort } = start(
      `trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done`,
      { graceMs: 10_000 },
    );
    await until('it runs', () => output.stdout() === 'up\n');
    abort.abort();
    expect(await result).toMatchObject({ exitCode: 3 });
    expect(output.stdout()).toBe('up\nbye\n');
  });

  it('ends also when nobody takes its output', async () => {
    const abort = new AbortController();
    let begun = false;
    const result = runShell(
      { kind: 'shell', cmd: 'yes', env: [], workingDir: '' },
      {
        taskId: 'task-1',
        env: taskEnvironment(process.env, folder),
        workingDir: folder,
        closedDir: path.join(folder, 'runner'),
        graceMs: 100,
        rawOutput: false,
        output: {
          write() {
            begun = true;
            return new Promise(() => undefined);
          },
        },
        signal: abort.signal,
      },
    );
    await until('it writes', () => begun);
    abort.abort();
    expect(await result).toMatchObject({ success: false });
    expect(orphansOf(folder)).toEqual([]);
  });
});

describe('output', () => {
  it('waits at its pipe while nobody takes it: no more is read than what is under way', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let taken = 0;
    const { result } = start('head -c 20000000 /dev/zero', {
      output: {
        async write(_, data) {
          await gate;
          taken += data.length;
        },
      },
    });
    await until('the process waits', () => orphansOf(folder).length > 0);
    const rss = process.memoryUsage().rss;
    expect(taken).toBe(0);
    release();
    expect(await result).toMatchObject({ success: true });
    expect(taken).toBe(20_000_000);
    expect(process.memoryUsage().rss - rss).toBeLessThan(64 * 2 ** 20);
  });

  it('has no character cut in two, and U+FFFD for what is no UTF-8', async () => {
    const pieces: string[] = [];
    const output: TaskOutput = {
      write: (_, data) => {
        pieces.push(new TextDecoder('utf-8', { fatal: true }).decode(data));
        return Promise.resolve();
      },
    };
    const { result } = start(
      String.raw`printf '\342'; sleep 0.1; printf '\202'; sleep 0.1; printf '\254 \377.'; i=0; while [ $i -lt 9000 ]; do printf '\360\237\230\200ab'; i=$((i+1)); done`,
      { output },
    );
    await result;
    expect(pieces.join('')).toBe(`€ \ufffd.${'😀ab'.repeat(9_000)}`);
  });

  it('is byte for byte as it was written, if it may be raw', async () => {
    const { output, result } = start(String.raw`printf 'a\377\000b'`, { rawOutput: true });
    await result;
    expect(output.bytes).toBe(4);
  });
});
