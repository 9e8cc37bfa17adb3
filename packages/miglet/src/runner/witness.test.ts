/** With real processes: a script's name is what the kernel calls its process. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { signal } from './processes.js';
import { createWorkerWitness } from './witness.js';

let folder: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-witness-'));
});
afterEach(() => {
  for (const child of children.splice(0)) if (child.pid !== undefined) signal(-child.pid, 'SIGKILL');
  rmSync(folder, { recursive: true });
});

function script(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}
/** @returns its number */
function start(file: string): number {
  const child = spawn(file, [], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  children.push(child);
  return child.pid ?? 0;
}
const kindOf = (pid: number): string => createWorkerWitness(pid).look().kind;

describe('the worker', () => {
  it('is seen while it works, below its listener, and not when it has ended', async () => {
    const worker = script('Runner.Worker', 'sleep 60; :');
    const listener = start(script('Runner.Listener', `'${worker}' &\nwait\nsleep 60; :`));
    const witness = createWorkerWitness(listener);
    const seen = await until('the worker is seen', () => {
      const sighting = witness.look();
      return sighting.kind === 'works' ? sighting.worker : undefined;
    });
    expect(witness.look()).toEqual({ kind: 'works', worker: seen });
    process.kill(seen.pid, 'SIGKILL');
    await until('it is not seen any more', () => witness.look().kind === 'none');
  });

  it('is seen below whatever changes the user between it and what was started', async () => {
    const worker = script('Runner.Worker', 'sleep 60; :');
    const listener = script('Runner.Listener', `'${worker}' &\nwait`);
    const outer = start(script('as-user', `'${listener}' &\nwait`));
    await until('the worker is seen', () => kindOf(outer) === 'works');
  });

  it('of another listener is none of this one', async () => {
    const worker = script('Runner.Worker', 'sleep 60; :');
    const other = start(script('Runner.Listener', `'${worker}' &\nwait`));
    const own = start(script('own', 'sleep 60; :'));
    await until('the other one works', () => kindOf(other) === 'works');
    expect(kindOf(own)).toBe('none');
  });

  it('of a listener that has ended is none', () => {
    expect(kindOf(0x3fff_fff0)).toBe('none');
  });
});
