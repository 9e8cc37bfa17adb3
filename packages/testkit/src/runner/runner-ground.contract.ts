/** A stand-in runner in a folder of its own, at a stand-in GitHub, and the processes that are started of it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from '@jest/globals';
import {
  createStandInGitHub,
  type StandInGitHub,
  type StandInGitHubOptions,
} from '../github/stand-in-github.js';
import { until } from '../github/until.js';
import { installStandInRunner, type InstalledRunner } from './install.js';
import { startObserved, type ObservedProcess } from './observed-process.js';

export const STAMP = String.raw`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: `;
export const LISTENING = new RegExp(`${STAMP}Listening for Jobs$`);
export const RUNNING = new RegExp(`${STAMP}Running job: (.*)$`);
export const CLEAN = { code: 0, signal: null };

export interface RunnerGround {
  readonly folder: string;
  readonly runner: InstalledRunner;
  /** The one that was started last. */
  readonly github: StandInGitHub;
  /** Another one, when the last was closed. */
  startGitHub(options?: Partial<StandInGitHubOptions>): Promise<void>;
  start(file: string, args: readonly string[], env?: Record<string, string>): ObservedProcess;
  listen(env?: Record<string, string>): ObservedProcess;
  /** Registers and configures without a process of its own, which is what `config.sh` is tested for by itself. */
  configureByJit(labels?: string[]): Promise<Record<string, string>>;
  config(...args: string[]): ObservedProcess;
  configured(...args: string[]): Promise<void>;
  /** Of the runner's folder. */
  file(name: string): string;
  /** Ends all that was started, and waits until no process is left. */
  close(): Promise<void>;
}

export async function createRunnerGround(): Promise<RunnerGround> {
  const folder = mkdtempSync(path.join(tmpdir(), 'stand-in-runner-'));
  const runner = installStandInRunner(path.join(folder, 'runner'));
  const running: ObservedProcess[] = [];
  let github: StandInGitHub;

  const ground: RunnerGround = {
    folder,
    runner,
    get github() {
      return github;
    },
    async startGitHub(options = {}) {
      github = await createStandInGitHub({ tokens: ['secret'], pollMs: 500, ...options });
    },
    start(file, args, env = {}) {
      const child = startObserved(file, args, {
        PATH: process.env['PATH'],
        RUNNER_ALLOW_RUNASROOT: '1',
        STAND_IN_RUNNER_RETRY_MS: '20',
        ...env,
      });
      running.push(child);
      return child;
    },
    listen: (env = {}) => ground.start(runner.listener, ['run'], env),
    async configureByJit(labels = ['self-hosted']) {
      const response = await fetch(`${github.url}/orgs/acme/actions/runners/generate-jitconfig`, {
        method: 'POST',
        headers: { authorization: 'Bearer secret' },
        body: JSON.stringify({ name: 'jit-1', runner_group_id: 1, labels }),
      });
      const { encoded_jit_config: encoded } = (await response.json()) as { encoded_jit_config: string };
      return { ACTIONS_RUNNER_INPUT_JITCONFIG: encoded };
    },
    config: (...args) =>
      ground.start(runner.configScript, [
        '--url',
        github.organizationUrl,
        '--name',
        'vm-1',
        '--unattended',
        ...args,
      ]),
    async configured(...args) {
      const child = ground.config('--token', github.issueToken('registration'), ...args);
      expect(await child.exited).toEqual(CLEAN);
    },
    file: (name) => path.join(runner.dir, name),
    async close() {
      for (const child of running.splice(0)) {
        child.kill('SIGKILL');
        await child.exited;
      }
      await github.close();
      await until('no process is left', () => processesOf(folder).length === 0);
      rmSync(folder, { recursive: true });
    },
  };
  await ground.startGitHub();
  return ground;
}

/** Processes whose command line has the text. */
export function processesOf(text: string): { pid: number; comm: string }[] {
  const read = (pid: string, file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8');
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && read(pid, 'cmdline').includes(text))
    .map((pid) => ({ pid: Number(pid), comm: read(pid, 'comm').trim() }));
}
