/**
 * The MIGlet's bundle as a process on a state folder that outlives it, with a runner that is two shell scripts: they write
 * down what is done to them, and do nothing else, so that a test can kill and start a MIGlet many times in little time.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { processesOf } from '@mig/testkit/system/processes-of';
import { ROOT } from './system.js';

export interface MigletFolder {
  readonly directory: string;
  readonly stateDirectory: string;
  /** Lines of the runner's scripts: `configured TOKEN`, `started`, `stopped`. */
  deeds(): string[];
  /** A job runs from now on, or ends. */
  setJob(runs: boolean): void;
  /** Lines of the MIGlet's logs, over all its processes. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** Entries of the journal of commands. */
  journaledCommands(): { readonly kind: string; readonly id: string }[];
  /** Entries of the journals of events, by boot. */
  journaledEvents(): Map<string, { readonly kind: string; readonly sequence?: number }[]>;
  start(options?: StartOptions): MigletProcess;
  cleanUp(): void;
}

export interface StartOptions {
  /** Of test points, as MIG_TEST_POINTS_PLAN says it. Default: the production bundle. */
  readonly plan?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs before the program in a shell of its own, such as `ulimit -f 8`. */
  readonly shell?: string;
}

export interface MigletExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

export interface MigletProcess {
  readonly exited: Promise<MigletExit>;
  readonly alive: boolean;
  signal(name: NodeJS.Signals): void;
}

const program = (planned: boolean): string =>
  path.join(ROOT, 'packages', 'miglet', 'bundle', planned ? 'miglet.test-points.mjs' : 'miglet.mjs');

export function createMigletFolder(env: Readonly<Record<string, string>>): MigletFolder {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'mig-miglet-'));
  const stateDirectory = path.join(directory, 'state');
  const runnerDirectory = path.join(directory, 'runner');
  const deedsFile = path.join(directory, 'deeds');
  const jobFile = path.join(directory, 'job');
  const log: Record<string, unknown>[] = [];
  writeFileSync(deedsFile, '');
  mkdirSync(path.join(runnerDirectory, 'bin'), { recursive: true });
  const script = (name: string, text: string): void => {
    writeFileSync(path.join(runnerDirectory, name), `#!/bin/sh\n${text}`);
    chmodSync(path.join(runnerDirectory, name), 0o755);
  };
  script(
    'config.sh',
    `echo "configured $ACTIONS_RUNNER_INPUT_TOKEN" >> '${deedsFile}'\necho '{"agentName":"vm-1"}' > .runner\n`,
  );
  script(
    'bin/Runner.Listener',
    `trap 'echo stopped >> "${deedsFile}"; exit 0' INT
echo started >> '${deedsFile}'
say() { echo "$(date -u '+%Y-%m-%d %H:%M:%SZ'): $1"; }
say 'Listening for Jobs'
while :; do
  if [ -e '${jobFile}' ]; then
    say 'Running job: build'
    while [ -e '${jobFile}' ]; do sleep 0.1 & wait; done
    say 'Job build completed with result: Succeeded'
  fi
  sleep 0.1 & wait
done
`,
  );

  /** Whole lines: what comes after the last newline is being written. */
  const readLines = (file: string): unknown[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as unknown);

  return {
    directory,
    stateDirectory,
    deeds: () => readFileSync(deedsFile, 'utf8').trim().split('\n'),
    setJob(runs) {
      if (runs) writeFileSync(jobFile, '');
      else rmSync(jobFile, { force: true });
    },
    log,
    journaledCommands: () =>
      readLines(path.join(stateDirectory, 'commands.jsonl')) as ReturnType<MigletFolder['journaledCommands']>,
    journaledEvents: () =>
      new Map(
        readdirSync(stateDirectory)
          .filter((name) => name.startsWith('events-'))
          .map((name) => [
            name.slice('events-'.length, -'.jsonl'.length),
            readLines(path.join(stateDirectory, name)) as { kind: string; sequence?: number }[],
          ]),
      ),
    start({ plan, env: more = {}, shell } = {}) {
      const command = [process.execPath, program(plan !== undefined)];
      const [file = '', ...args] =
        shell === undefined ? command : ['/bin/sh', '-c', `${shell} && exec "$@"`, 'sh', ...command];
      const child = spawn(file, args, {
        env: {
          PATH: process.env['PATH'] ?? '',
          HOME: directory,
          MIGLET_VM_ID: 'vm-1',
          MIGLET_STATE_DIR: stateDirectory,
          MIGLET_RUNNER_DIR: runnerDirectory,
          ...(process.getuid?.() === 0 ? { MIGLET_RUNNER_ALLOW_ROOT: 'true' } : {}),
          MIGLET_HEARTBEAT_INTERVAL: '1s',
          MIGLET_CONTROLLER_RECONNECT_FIRST: '100ms',
          MIGLET_REGISTRATION_RETRY_FIRST: '100ms',
          ...env,
          ...more,
          ...(plan === undefined ? {} : { MIG_TEST_POINTS_PLAN: plan }),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let alive = true;
      let rest = '';
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) log.push(JSON.parse(line) as Record<string, unknown>);
      });
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      return {
        exited: new Promise((resolve) =>
          child.once('close', (code, signal) => {
            alive = false;
            resolve({ code, signal, stderr });
          }),
        ),
        get alive() {
          return alive;
        },
        signal: (name) => void child.kill(name),
      };
    },
    cleanUp() {
      for (const pid of processesOf(directory)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended by itself meanwhile.
        }
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
