/** The whole system in a test: `npm start`'s program as a process on free ports, and migctl as an operator runs it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandResource } from '@mig/common/api/command-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import { until } from '@mig/testkit/github/until';
import { processesOf } from '@mig/testkit/system/processes-of';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const DEMO = path.join(ROOT, 'packages', 'testkit', 'dist', 'demo', 'main.js');
const MIGCTL = path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js');

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly finished: Promise<Finished>;
  /** What it has written so far, standard output and error together. */
  output(): string;
  signal(name: NodeJS.Signals): void;
}

export function run(file: string, args: readonly string[], env: Record<string, string> = {}): Running {
  const child: ChildProcess = spawn(process.execPath, [file, ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    output += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    output += chunk.toString();
  });
  return {
    pid: child.pid ?? 0,
    finished: new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr }))),
    output: () => output,
    signal: (name) => void child.kill(name),
  };
}

/** The demo logs migctl in: in a file of its own, not in that of whoever runs the tests. */
export function startDemoProcess(args: readonly string[]): Running {
  const at = args.indexOf('--data-dir');
  return run(DEMO, args, { MIGCTL_CONFIG: contextsIn(at < 0 ? os.tmpdir() : (args[at + 1] ?? '')) });
}

const contextsIn = (folder: string): string => path.join(folder, 'mig-e2e-contexts.json');

export interface System {
  readonly dataDirectory: string;
  readonly http: string;
  readonly adminToken: string;
  readonly demo: Running;
  migctl(...args: string[]): Promise<Finished>;
  startMigctl(...args: string[]): Running;
  vm(vmId: string): Promise<VmResource>;
  commands(vmId: string): Promise<CommandResource[]>;
  events(vmId: string): Promise<EventResource[]>;
  submit(vmId: string, type: string, parameters?: Record<string, unknown>): Promise<CommandResource>;
  /** Queues a job at the stand-in GitHub. */
  queueJob(name: string, durationMs: number): Promise<void>;
  /** Numbers of the processes of this system whose command line holds the text. */
  processes(text: string): number[];
  /** Ends the demo as Ctrl-C does. */
  stop(): Promise<Finished>;
  /** Ends what is left and removes the data. */
  cleanUp(): Promise<void>;
}

export interface SystemOptions {
  readonly vms?: number;
  readonly dataDirectory?: string;
}

/** Resolves when the controller listens. Jobs come only from `queueJob`. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const dataDirectory = options.dataDirectory ?? mkdtempSync(path.join(os.tmpdir(), 'mig-e2e-'));
  const demo = startDemoProcess([
    ...['--vms', String(options.vms ?? 1), '--http-port', '0', '--grpc-port', '0'],
    ...['--data-dir', dataDirectory, '--jobs-every', '0'],
  ]);
  const endpoint = await until(
    'the controller listens',
    () => /HTTP (http:\/\/\S+),/.exec(demo.output())?.[1],
    20_000,
  );
  // By then migctl is logged in.
  await until('the demo is up', () => demo.output().includes('Try, in another terminal'), 20_000);
  const github = /GitHub listens on (http:\/\/\S+)/.exec(demo.output())?.[1] ?? '';
  const adminToken = readFileSync(
    path.join(dataDirectory, 'controller_data', '.auth', 'admin-token'),
    'utf8',
  ).trim();
  const authorization = `Bearer ${adminToken}`;
  const get = async <T>(route: string): Promise<T> => {
    const response = await fetch(`${endpoint}/api/v1/${route}`, { headers: { authorization } });
    if (!response.ok) throw new Error(`GET ${route}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  const startMigctl = (...args: string[]): Running =>
    run(MIGCTL, [...args, '--server', endpoint], { MIGCTL_CONFIG: contextsIn(dataDirectory) });

  return {
    dataDirectory,
    http: endpoint,
    adminToken,
    demo,
    startMigctl,
    migctl: (...args) => startMigctl(...args).finished,
    vm: (vmId) => get(`vms/${vmId}`),
    commands: async (vmId) => (await get<{ commands: CommandResource[] }>(`commands?vm_id=${vmId}`)).commands,
    events: async (vmId) => (await get<{ events: EventResource[] }>(`vms/${vmId}/events?limit=1000`)).events,
    async submit(vmId, type, parameters = {}) {
      const response = await fetch(`${endpoint}/api/v1/vms/${vmId}/commands`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization },
        body: JSON.stringify({ type, parameters }),
      });
      if (response.status !== 202)
        throw new Error(`submit ${type}: ${response.status} ${await response.text()}`);
      return (await response.json()) as CommandResource;
    },
    async queueJob(name, durationMs) {
      const response = await fetch(`${github}/_stand-in/admin/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name, durationMs, labels: ['demo'] }),
      });
      if (!response.ok) throw new Error(`queue job: ${response.status} ${await response.text()}`);
    },
    processes: (text) => processesOf(dataDirectory, text),
    async stop() {
      demo.signal('SIGINT');
      return demo.finished;
    },
    async cleanUp() {
      demo.signal('SIGKILL');
      await demo.finished;
      for (const pid of processesOf(dataDirectory)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended by itself meanwhile.
        }
      }
      rmSync(dataDirectory, { recursive: true, force: true });
    },
  };
}
