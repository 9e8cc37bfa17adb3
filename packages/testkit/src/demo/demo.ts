/**
 * The main job, whole, on one machine: a controller, a stand-in GitHub, MIGlets with stand-in runners, each a process of its
 * own, as they would be on their machines. The controller is signed in as a GitHub App and gets its webhooks. What dies is
 * started again, as an init system would; what ends by itself is not.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatDuration } from '@mig/common/config/duration';
import { installStandInRunner } from '../runner/install.js';
import type { ChildExit } from '../system/child-process.js';
import { prepareData } from './data.js';
import { logInToDemo, type DemoLogin, type MigctlRun } from './demo-login.js';
import { DemoFailedError } from './demo-failed.js';
import { createLedger } from './ledger.js';
import { createMigletStory, describeControllerLog, type Narrator } from './narrator.js';
import type { DemoOptions } from './options.js';
import { supervise, type Supervised } from './supervised.js';

export interface Demo {
  /** Resolves when the controller has ended although nobody asked it to. */
  readonly broken: Promise<ChildExit>;
  /** Drains and ends the VMs, then the rest. Called again, it no longer waits for running jobs. */
  stop(): Promise<void>;
  /** Ends everything at once. */
  kill(): void;
}

const PACKAGES = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const PROGRAMS = {
  controller: path.join(PACKAGES, 'controller', 'bundle', 'controller.mjs'),
  miglet: path.join(PACKAGES, 'miglet', 'bundle', 'miglet.mjs'),
  github: path.join(PACKAGES, 'testkit', 'dist', 'github', 'main.js'),
  migctl: path.join(PACKAGES, 'cli', 'bin', 'migctl.js'),
};
const ORGANIZATION = 'demo-org';
/** As the stand-in GitHub has it. */
const APP_ID = '4711';
const RESTART_DELAY_MS = 1_000;
const JOB_SECONDS = '4..10';

/** @throws DemoFailedError */
export async function startDemo(
  options: DemoOptions,
  narrator: Narrator,
  env: NodeJS.ProcessEnv,
): Promise<Demo> {
  const data = path.resolve(options.dataDirectory);
  const files = prepareData(data);
  const ledger = createLedger(files.ledger);
  const leftovers = ledger.endLeftovers();
  if (leftovers > 0)
    narrator.print(`  Ended ${leftovers} processes that an earlier start left behind when it was killed.`);
  const children: Supervised[] = [];
  /** Of the controller, once it listens. */
  let webhookUrl: string | undefined;
  let stopping = false;
  const stopAll = (): void => {
    for (const child of children) {
      child.release();
      child.signal('SIGKILL');
    }
  };

  try {
    const github = await startGitHub();
    const controller = await startController(github.url);
    await openWebhook(github.url, controller.http);
    const miglets = Array.from({ length: options.vmCount }, (_, index) =>
      startMiglet(`demo-vm-${index + 1}`, controller.http, controller.grpc),
    );
    const login = logInToDemo({ http: controller.http, adminToken: files.adminToken }, runMigctl);
    printHints(login);
    return makeDemo(github.process, controller.process, miglets, login);
  } catch (error) {
    stopAll();
    throw error;
  }

  async function startGitHub(): Promise<{ process: Supervised; url: string }> {
    let port = '0';
    const listening = withResolvers<string>();
    const process_ = add(
      supervise({
        name: 'github',
        restartDelayMs: RESTART_DELAY_MS,
        onStart: ledger.record,
        restartAfter: (exit) => exit.code !== 0 && port !== '0',
        onRestart: (exit) =>
          narrator.say('github', `the stand-in GitHub died (${how(exit)}); it is started again`),
        child: () => ({
          args: [
            PROGRAMS.github,
            ...[
              '--port',
              port,
              '--app-key-file',
              files.appKey,
              '--webhook-secret-file',
              files.webhookSecret,
              '--org',
              ORGANIZATION,
              '--job-seconds',
              JOB_SECONDS,
            ],
            ...(webhookUrl === undefined ? [] : ['--webhook-url', webhookUrl]),
            ...(options.jobsEveryMs > 0 ? ['--jobs-every', formatDuration(options.jobsEveryMs)] : []),
            ...['--exit-with-parent', String(process.pid)],
          ],
          env,
          onLog(entry) {
            if (entry['event'] !== 'listening' || typeof entry['url'] !== 'string') return;
            port = new URL(entry['url']).port;
            listening.resolve(entry['url']);
          },
        }),
      }),
    );
    const url = await firstOf(listening.promise, process_, 'the stand-in GitHub');
    narrator.say('github', `a stand-in for GitHub listens on ${url} (nothing here talks to the real one)`);
    return { process: process_, url };
  }

  /** From here on the App's webhook leads to the controller, also that of a stand-in that is started again. */
  async function openWebhook(githubUrl: string, controllerUrl: string): Promise<void> {
    webhookUrl = `${controllerUrl}/webhooks/github`;
    const response = await fetch(`${githubUrl}/_stand-in/admin/webhook`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ url: webhookUrl, secret: readFileSync(files.webhookSecret, 'utf8').trim() }),
    });
    if (!response.ok)
      throw new DemoFailedError(`the stand-in GitHub did not take the webhook (${response.status})`);
  }

  async function startController(
    githubUrl: string,
  ): Promise<{ process: Supervised; http: string; grpc: string }> {
    let ports = { http: options.httpPort, grpc: options.grpcPort };
    const listening = withResolvers<{ http: string; grpc: string }>();
    let isUp = false;
    const process_ = add(
      supervise({
        name: 'controller',
        restartDelayMs: RESTART_DELAY_MS,
        onStart: ledger.record,
        restartAfter: (exit) => isUp && exit.code !== 0,
        onRestart: (exit) => narrator.say('controller', `died (${how(exit)}); it is started again`),
        child: () => ({
          args: [PROGRAMS.controller],
          env: {
            ...env,
            CONTROLLER_DATA_DIR: files.controller,
            CONTROLLER_HTTP_PORT: String(ports.http),
            CONTROLLER_GRPC_PORT: String(ports.grpc),
            CONTROLLER_GITHUB_AUTH: 'app',
            CONTROLLER_GITHUB_APP_ID: APP_ID,
            CONTROLLER_GITHUB_PRIVATE_KEY_FILE: files.appKey,
            CONTROLLER_GITHUB_WEBHOOK_SECRET_FILE: files.webhookSecret,
            CONTROLLER_GITHUB_API_URL: githubUrl,
            CONTROLLER_GITHUB_WEB_URL: githubUrl,
            CONTROLLER_GITHUB_ORG: ORGANIZATION,
            CONTROLLER_POOLS: '{ demo: { labels: [self-hosted, linux, demo] } }',
            CONTROLLER_AUTH_JOIN_TOKEN_FILE: files.joinToken,
            CONTROLLER_INSECURE: String(options.insecure),
          },
          onLog(entry) {
            const said = describeControllerLog(entry);
            if (said !== undefined) narrator.say('controller', said);
            if (entry['event'] !== 'listening') return;
            const [http, grpc] = [String(entry['http']), String(entry['grpc'])];
            ports = { http: Number(new URL(http).port), grpc: Number(grpc.split(':').at(-1)) };
            isUp = true;
            listening.resolve({ http, grpc });
          },
        }),
      }),
    );
    const endpoints = await firstOf(listening.promise, process_, 'the controller');
    return { process: process_, ...endpoints };
  }

  function startMiglet(vmId: string, http: string, grpc: string): Supervised {
    const folder = path.join(data, 'vms', vmId);
    const runner = path.join(folder, 'actions-runner');
    installStandInRunner(runner);
    const describe = createMigletStory();
    const miglet: Supervised = add(
      supervise({
        name: vmId,
        restartDelayMs: RESTART_DELAY_MS,
        onStart: ledger.record,
        // A MIGlet that ended as it was asked to has done its work; any other end is one to recover from.
        restartAfter: (exit) => (stopping ? exit.code === null : exit.code !== 0),
        onRestart: (exit) => narrator.say(vmId, `the MIGlet died (${how(exit)}); it is started again`),
        child: () => ({
          args: [PROGRAMS.miglet],
          env: {
            ...env,
            MIGLET_VM_ID: vmId,
            MIGLET_POOL_ID: 'demo',
            MIGLET_ORG_ID: ORGANIZATION,
            MIGLET_STATE_DIR: path.join(folder, 'state'),
            MIGLET_CONTROLLER_ENDPOINT: http,
            MIGLET_CONTROLLER_GRPC_ENDPOINT: grpc,
            MIGLET_CONTROLLER_JOIN_TOKEN_FILE: files.joinToken,
            MIGLET_RUNNER_DIR: runner,
            MIGLET_TASKS_ENABLED: 'true',
            MIGLET_JOBS_ENABLED: 'true',
            MIGLET_JOBS_DATACENTER: 'dc1',
            ...(process.getuid?.() === 0 ? { MIGLET_RUNNER_ALLOW_ROOT: 'true' } : {}),
          },
          onLog(entry) {
            const said = describe(entry);
            if (said !== undefined) narrator.say(vmId, said);
            // It died while everything ends: the one in its place has a runner to take out of service first.
            if (stopping && entry['event'] === 'starting') miglet.signal('SIGTERM');
          },
        }),
      }),
    );
    return miglet;
  }

  function add(child: Supervised): Supervised {
    children.push(child);
    return child;
  }

  function runMigctl(args: readonly string[]): MigctlRun {
    return spawnSync(process.execPath, [PROGRAMS.migctl, ...args], { env, encoding: 'utf8' });
  }

  function printHints({ failure, flag: server }: DemoLogin): void {
    if (failure !== '') {
      narrator.print(`  migctl is not logged in (${failure})`);
      narrator.print(`  Add --token-file ${files.adminToken}`);
    }
    const vm = options.vmCount > 0 ? 'demo-vm-1' : 'VM';
    narrator.print('');
    narrator.print('  Try, in another terminal in this folder:');
    narrator.print(`    npx migctl get vms${server}`);
    narrator.print(`    npx migctl describe vm ${vm}${server}`);
    narrator.print(`    npx migctl get workflow-jobs${server}`);
    narrator.print(`    npx migctl events -f${server}`);
    narrator.print(`    npx migctl drain ${vm} --wait${server}`);
    narrator.print(`    npx migctl shutdown ${vm} --wait${server}`);
    narrator.print(`    npx migctl exec ${vm}${server} -- uname -a`);
    narrator.print('  Ctrl-C drains the VMs and ends everything.');
    narrator.print('');
  }

  function makeDemo(
    github: Supervised,
    controller: Supervised,
    miglets: readonly Supervised[],
    login: DemoLogin,
  ): Demo {
    let stopped: Promise<void> | undefined;
    async function stopInOrder(): Promise<void> {
      stopping = true;
      for (const miglet of miglets) miglet.signal('SIGTERM');
      await Promise.all(miglets.map((miglet) => miglet.ended));
      for (const child of [controller, github]) {
        child.release();
        child.signal('SIGTERM');
        await child.ended;
      }
      login.forget();
      ledger.clear();
    }
    return {
      broken: controller.ended,
      stop() {
        if (stopped !== undefined) for (const miglet of miglets) miglet.signal('SIGTERM');
        stopped ??= stopInOrder();
        return stopped;
      },
      kill: stopAll,
    };
  }
}

/** What came first: the value, or the end of the process that should have given it. */
async function firstOf<T>(value: Promise<T>, child: Supervised, what: string): Promise<T> {
  const failed = child.ended.then((exit) => {
    throw new DemoFailedError(
      exit.lastError === ''
        ? `${what} ended at once (${how(exit)})`
        : exit.lastError.replace(/^controller: /, ''),
    );
  });
  return Promise.race([value, failed]);
}

const how = (exit: ChildExit): string => exit.signal ?? `exit code ${exit.code ?? 'unknown'}`;

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
