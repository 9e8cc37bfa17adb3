/** A stand-in runner in a folder of its own, at a stand-in GitHub, and somebody who watches it. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@mig/common/clock';
import { createLogger } from '@mig/common/logger';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { until } from '@mig/testkit/github/until';
import { installStandInRunner } from '@mig/testkit/runner/install';
import type { Registration } from '../machine/types.js';
import { configureRunner } from './configure.js';
import { runnerEnvironment } from './environment.js';
import type { RunnerNews } from './job-watch.js';
import { adoptListener, startListener } from './listener.js';
import { runnerDirectory, type RunnerDirectory } from './runner-directory.js';
import type { Listener, ListenerEnd, ListenerHandlers, ListenerOptions } from './watch-listener.js';

export interface Told {
  readonly news: RunnerNews;
  readonly known: boolean;
}

/** A listener, and what was heard of it. */
export interface Watched {
  readonly listener: Listener;
  readonly told: readonly Told[];
  readonly ends: readonly ListenerEnd[];
  hears<T extends RunnerNews['type']>(type: T): Promise<Extract<RunnerNews, { type: T }>>;
  ended(): Promise<ListenerEnd>;
}

export interface RunnerGround {
  readonly folder: string;
  readonly stateDirectory: string;
  readonly github: StandInGitHub;
  readonly directory: RunnerDirectory;
  readonly registration: Registration;
  /** Messages of the log, with what they say. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** Puts the runner there, with its switches (testkit, switches.ts). */
  install(faults?: string, env?: Readonly<Record<string, string>>): void;
  configure(wanted?: Partial<Registration>): ReturnType<typeof configureRunner>;
  options(change?: Partial<ListenerOptions>): ListenerOptions;
  start(change?: Partial<ListenerOptions>): Promise<Watched>;
  /** As the next process of the MIGlet. */
  adopt(change?: Partial<ListenerOptions>): Watched | undefined;
  /** Processes whose command line names this folder. */
  processes(): string[];
  output(): string;
  close(): Promise<void>;
}

const DEADLINE_MS = 15_000;

export async function createRunnerGround(): Promise<RunnerGround> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-runner-'));
  const stateDirectory = folder;
  const dir = path.join(folder, 'runner');
  const hintsFile = path.join(folder, 'runner-hooks.log');
  writeFileSync(hintsFile, '');
  const github = await createStandInGitHub({
    tokens: ['t'],
    organization: 'acme',
    sessionTimeoutMs: 5_000,
    pollMs: 500,
  });
  const directory = runnerDirectory(dir);
  const log: Record<string, unknown>[] = [];
  const logger = createLogger({
    name: 'miglet',
    level: 'debug',
    destination: { write: (line: string) => void log.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const env = runnerEnvironment({
    inherited: process.env,
    configured: {},
    allowRoot: true,
    hooks: writeHookScripts(folder, hintsFile),
  });
  const listeners: Listener[] = [];
  const registration: Registration = {
    commandId: 'c',
    runnerName: 'vm-1',
    runnerUrl: github.organizationUrl,
    runnerGroup: '',
    labels: ['self-hosted', 'test'],
    token: github.issueToken('registration'),
    jitConfig: '',
  };

  function watcher(): { handlers: ListenerHandlers; told: Told[]; ends: ListenerEnd[] } {
    const told: Told[] = [];
    const ends: ListenerEnd[] = [];
    return {
      told,
      ends,
      handlers: {
        tell: (news, known) => void told.push({ news, known }),
        onEnd: (end) => ends.push(end) > 0,
      },
    };
  }
  function watched(listener: Listener, told: readonly Told[], ends: readonly ListenerEnd[]): Watched {
    listeners.push(listener);
    return {
      listener,
      told,
      ends,
      hears: (type) =>
        until(
          `the runner tells ${type}`,
          () => told.find(({ news }) => news.type === type)?.news as never,
          DEADLINE_MS,
        ),
      ended: () => until('the runner has ended', () => ends[0], DEADLINE_MS),
    };
  }

  const ground: RunnerGround = {
    folder,
    stateDirectory,
    github,
    directory,
    registration,
    log,
    install(faults = '', more = {}) {
      const fault = faults === '' ? {} : { STAND_IN_RUNNER_FAULT: faults };
      installStandInRunner(dir, { env: { STAND_IN_RUNNER_RETRY_MS: '50', ...fault, ...more } });
    },
    configure: (wanted = {}) =>
      configureRunner(
        { ...registration, ...wanted },
        { directory, env, ephemeral: false, disableUpdate: false, workFolder: '_work' },
        new AbortController().signal,
      ),
    options: (change = {}) => ({
      directory,
      env,
      stateDirectory,
      hintsFile,
      clock: systemClock,
      logger,
      acknowledgeTimeoutMs: 60_000,
      workerTimeoutMs: 60_000,
      isJournaled: () => true,
      isTold: () => false,
      ...change,
    }),
    async start(change) {
      const configured = await ground.configure();
      if (configured.kind !== 'ok') throw new Error(configured.reason);
      const { handlers, told, ends } = watcher();
      return watched(await startListener(registration, ground.options(change), handlers), told, ends);
    },
    adopt(change) {
      const { handlers, told, ends } = watcher();
      const listener = adoptListener(ground.options(change), handlers);
      return listener === undefined ? undefined : watched(listener, told, ends);
    },
    processes: () => processesIn(folder),
    output: () => readFileSync(path.join(folder, 'runner-output.log'), 'utf8'),
    async close() {
      for (const listener of listeners) {
        listener.kill();
        listener.release();
      }
      for (const pid of processesIn(folder)) {
        try {
          process.kill(Number(pid), 'SIGKILL');
        } catch {
          // It ended by itself meanwhile.
        }
      }
      await until('no process of the runner is left', () => processesIn(folder).length === 0);
      await github.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  ground.install();
  return ground;
}

/** As hooks.ts writes them, in short. */
function writeHookScripts(folder: string, hintsFile: string): Record<string, string> {
  const write = (hook: 'started' | 'completed'): string => {
    const file = path.join(folder, `job-${hook}.sh`);
    writeFileSync(
      file,
      `echo "{\\"hook\\":\\"${hook}\\",\\"repository\\":\\"$GITHUB_REPOSITORY\\",\\"run_id\\":\\"$GITHUB_RUN_ID\\",\\"run_attempt\\":\\"$GITHUB_RUN_ATTEMPT\\",\\"sha\\":\\"$GITHUB_SHA\\",\\"ref_name\\":\\"$GITHUB_REF_NAME\\",\\"runner_name\\":\\"$RUNNER_NAME\\"}" >> '${hintsFile}'\n`,
      { mode: 0o755 },
    );
    return file;
  };
  return {
    ACTIONS_RUNNER_HOOK_JOB_STARTED: write('started'),
    ACTIONS_RUNNER_HOOK_JOB_COMPLETED: write('completed'),
  };
}

const processesIn = (folder: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false;
    }
  });
