import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { installStandInRunner } from './install.js';
import { startObserved } from './observed-process.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'stand-in-runner-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const version = async (listener: string) => {
  const child = startObserved(listener, ['--version'], {});
  return [(await child.exited).code, ...child.lines];
};

describe('installation', () => {
  it('has the files of the real runner, and all of them can be executed', () => {
    const runner = installStandInRunner(path.join(folder, 'runner'));
    for (const file of ['config.sh', 'run.sh', 'bin/Runner.Listener', 'bin/Runner.Worker']) {
      expect(statSync(path.join(runner.dir, file)).mode & 0o111).toBe(0o111);
    }
  });

  it('starts below a folder of modules too', async () => {
    writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
    expect(await version(installStandInRunner(path.join(folder, 'runner')).listener)).toEqual([0, '2.336.0']);
  });

  it('starts with a node whose path the kernel does not take', async () => {
    const nodePath = path.join(folder, "it's a node");
    symlinkSync(process.execPath, nodePath);
    expect(await version(installStandInRunner(path.join(folder, 'runner'), { nodePath }).listener)).toEqual([
      0,
      '2.336.0',
    ]);
  });

  it('starts the code of the folder that it is told', async () => {
    const scriptDir = path.join(folder, 'code');
    mkdirSync(scriptDir);
    writeFileSync(path.join(scriptDir, 'listener-main.js'), 'console.log("other code")');
    expect(await version(installStandInRunner(path.join(folder, 'runner'), { scriptDir }).listener)).toEqual([
      0,
      'other code',
    ]);
  });
});
