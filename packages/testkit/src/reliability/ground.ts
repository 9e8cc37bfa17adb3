/**
 * Where a part is run: a folder, a stand-in GitHub, controllers and fleets as processes. Whatever the part starts here is
 * ended, by its number, when the part is over, however it ends.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createStandInGitHub,
  type StandInGitHub,
  type StandInGitHubOptions,
} from '../github/stand-in-github.js';
import type { StandInEvent } from '../github/events.js';
import { startChild, type Child, type ChildOptions } from '../system/child-process.js';
import { startControllerProcess, type ControllerProcess } from '../system/controller-process.js';
import { createOperatorApi, type OperatorApi } from '../system/operator-api.js';
import { createSeededRandom } from '../system/seeded-random.js';

export const POOL = 'pool';
export const ORGANIZATION = 'acme';

export interface Ground {
  readonly folder: string;
  readonly programs: Programs;
  /** Follows the seed. */
  readonly random: () => number;
  /** Aborted when the part has to end. */
  readonly signal: AbortSignal;
  /** A line of progress. */
  say(text: string): void;
  /** Starts a stand-in GitHub and a controller that is signed in there, and resolves when both listen. */
  startControl(options?: ControlOptions): Promise<Control>;
  /** A process that is ended with the part. */
  start(options: Omit<ChildOptions, 'env'> & { readonly env?: Readonly<Record<string, string>> }): Child;
  /** A fleet of simulated VMs, in one process. */
  startFleet(options: FleetProcessOptions): Child;
  /** Called when the part is over, before its folder goes. */
  onCleanUp(task: () => void): void;
}

export interface ControlOptions {
  /** Settings of the controller beside its defaults: `CONTROLLER_…`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Of the stand-in GitHub, beside what all parts have. */
  readonly github?: Partial<Omit<StandInGitHubOptions, 'organization' | 'onEvent'>>;
  /** Of the REST API; in a file, for the controller. Default one that everybody knows. */
  readonly token?: string;
  /** Of the controller's data, in the folder. Default `controller_data`. */
  readonly dataName?: string;
  /** Makes the address at which the controller and the runners are to find the stand-in. Default its own. */
  readonly via?: (port: number) => Promise<string>;
  readonly onControllerLog?: (entry: Readonly<Record<string, unknown>>) => void;
  readonly onGitHubEvent?: (event: StandInEvent) => void;
}

export interface Control {
  readonly controller: ControllerProcess;
  readonly github: StandInGitHub;
  readonly api: OperatorApi;
  /** Ends of the controller that nobody asked for, in words. */
  readonly crashes: readonly string[];
}

export interface FleetProcessOptions {
  readonly endpoint: string;
  readonly prefix: string;
  readonly first: number;
  readonly count: number;
  readonly seed: number;
  /** Keeps its VMs' state and writes down what they do; otherwise all is in memory. */
  readonly kept: boolean;
  /** `MIN..MAX`; undefined = no jobs. */
  readonly jobs?: string;
  /** Bounds of the waits before a VM connects again, `MIN..MAX`. Default: as a MIGlet has it. */
  readonly reconnect?: string;
  /** Runners are registered at the stand-in GitHub, and get their jobs there. Default: GitHub does not know them. */
  readonly connected?: boolean;
  /** A VM that has ended begins another boot after this, `MIN..MAX`. Default: it does not. */
  readonly restartAfter?: string;
  readonly onLog?: ChildOptions['onLog'];
}

const PACKAGES = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const FLEET = path.join(PACKAGES, 'testkit', 'dist', 'fleet', 'main.js');

/** Paths of the programs that go onto other machines, as they are bundled. */
interface Programs {
  readonly controller: string;
  readonly miglet: string;
  /** The same, with the points at which it can be told to die. */
  readonly mortalMiglet: string;
}

/** Copies: a build that runs meanwhile must not change what is measured. */
function copyPrograms(folder: string): Programs {
  mkdirSync(folder);
  const copy = (program: string, file: string): string => {
    const copied = path.join(folder, file);
    copyFileSync(path.join(PACKAGES, program, 'bundle', file), copied);
    return copied;
  };
  return {
    controller: copy('controller', 'controller.mjs'),
    miglet: copy('miglet', 'miglet.mjs'),
    mortalMiglet: copy('miglet', 'miglet.test-points.mjs'),
  };
}

/** As a MIGlet has it by default. */
const DEFAULT_RECONNECT = '5s..30s';
const TOKEN = 'a-token-of-the-stand-in';
/** What a process needs of the machine; nothing else of this one's environment shall change what is measured. */
const BASE_ENV = Object.fromEntries(
  ['PATH', 'HOME', 'TMPDIR', 'LANG'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  }),
);

export const stateFolder = (folder: string, vmId: string): string => path.join(folder, 'vms', vmId);
export const witnessFile = (folder: string, vmId: string): string =>
  path.join(folder, 'witness', `${vmId}.jsonl`);

export interface GroundOptions {
  readonly name: string;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
  readonly keep: boolean;
}

export interface OwnedGround {
  readonly ground: Ground;
  /** Ends what is left, and removes the folder. */
  cleanUp(): Promise<void>;
  /** Ends what is left at once, and waits for nothing. */
  abandon(): void;
}

export function createGround(options: GroundOptions): OwnedGround {
  const { signal, say } = options;
  const random = createSeededRandom(options.seed);
  const folder = mkdtempSync(path.join(os.tmpdir(), `mig-reliability-${options.name}-`));
  const programs = copyPrograms(path.join(folder, 'programs'));
  const children = new Set<Child>();
  const controllers: ControllerProcess[] = [];
  const githubs: StandInGitHub[] = [];
  const tasks: (() => void)[] = [];
  let startCount = 0;
  mkdirSync(path.join(folder, 'logs'));

  function start(
    child: Omit<ChildOptions, 'env'> & { readonly env?: Readonly<Record<string, string>> },
  ): Child {
    startCount += 1;
    const logFile = path.join(folder, 'logs', `process-${startCount}.log`);
    const started = startChild({ logFile, ...child, env: { ...BASE_ENV, ...child.env } });
    children.add(started);
    void started.exited.then(() => children.delete(started));
    return started;
  }

  const ground: Ground = {
    folder,
    programs,
    random,
    signal,
    say,
    start,
    async startControl(control = {}) {
      const token = control.token ?? TOKEN;
      const github = await createStandInGitHub({
        tokens: [token],
        organization: ORGANIZATION,
        // The measured load is that of hours in minutes.
        rateLimit: { limit: 1_000_000 },
        ...control.github,
        ...(control.onGitHubEvent === undefined ? {} : { onEvent: control.onGitHubEvent }),
      });
      githubs.push(github);
      const address = (await control.via?.(github.port)) ?? github.url;
      const tokenFile = path.join(folder, 'github-token');
      writeFileSync(tokenFile, token, { mode: 0o600 });
      const crashes: string[] = [];
      const controller = await startControllerProcess({
        program: programs.controller,
        dataDirectory: path.join(folder, control.dataName ?? 'controller_data'),
        logFile: path.join(folder, 'logs', 'controller.log'),
        env: {
          ...BASE_ENV,
          CONTROLLER_INSECURE: 'true',
          CONTROLLER_GITHUB_AUTH: 'token',
          CONTROLLER_GITHUB_API_URL: address,
          CONTROLLER_GITHUB_WEB_URL: address,
          CONTROLLER_GITHUB_TOKEN_FILE: tokenFile,
          CONTROLLER_GITHUB_ORG: ORGANIZATION,
          CONTROLLER_POOLS: `{ ${POOL}: { labels: [self-hosted, ${POOL}] } }`,
          // Simulated runners are not at GitHub: one token serves them all, and nobody looks for them there.
          CONTROLLER_GITHUB_REGISTRATION: 'token',
          CONTROLLER_GITHUB_WRITES_PER_SECOND: '50',
          CONTROLLER_GITHUB_RECONCILIATION_GRACE: '24h',
          ...control.env,
        },
        ...(control.onControllerLog === undefined ? {} : { onLog: control.onControllerLog }),
        onUnexpectedEnd(exit) {
          crashes.push(exit.lastError || (exit.signal ?? `exit code ${exit.code ?? 'unknown'}`));
        },
      });
      controllers.push(controller);
      const api = createOperatorApi(() => controller.http, { signal, random: Math.random });
      return { controller, github, api, crashes };
    },
    startFleet(fleet) {
      if (fleet.kept)
        for (const name of ['vms', 'witness']) mkdirSync(path.join(folder, name), { recursive: true });
      return start({
        args: [
          FLEET,
          ...['--endpoint', fleet.endpoint, '--prefix', fleet.prefix, '--pool-id', POOL],
          ...['--org-id', ORGANIZATION, '--count', String(fleet.count), '--first', String(fleet.first)],
          ...['--seed', String(fleet.seed), '--reconnect', fleet.reconnect ?? DEFAULT_RECONNECT],
          ...['--exit-with-parent', String(process.pid)],
          ...(fleet.kept
            ? ['--state-dir', path.join(folder, 'vms'), '--witness-dir', path.join(folder, 'witness')]
            : []),
          ...(fleet.jobs === undefined ? [] : ['--jobs', fleet.jobs]),
          ...(fleet.connected === true ? ['--connected'] : []),
          ...(fleet.restartAfter === undefined ? [] : ['--restart-after', fleet.restartAfter]),
        ],
        onLog: fleet.onLog ?? (() => undefined),
      });
    },
    onCleanUp: (task) => tasks.push(task),
  };

  function abandon(): void {
    for (const task of tasks) task();
    for (const child of children) child.signal('SIGKILL');
    for (const controller of controllers) void controller.kill();
  }

  return {
    ground,
    abandon,
    async cleanUp() {
      const left = [...children];
      abandon();
      await Promise.all([...left.map((child) => child.exited), ...controllers.map((each) => each.kill())]);
      await Promise.all(githubs.map((github) => github.close()));
      if (options.keep) say(`kept: ${folder}`);
      else rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
