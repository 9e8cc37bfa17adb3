/**
 * The fleet that is broken: the real controller and MIGlets as processes that are started again when they end, stand-in runners,
 * a stand-in GitHub, simulated VMs if any are wanted, and a bad network between all of them. Everything lies in one folder.
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createStandInGitHub, type StandInGitHub } from '../github/stand-in-github.js';
import { installStandInRunner } from '../runner/install.js';
import { JOB_LOST_MS } from './checks/jobs.js';
import { createDataDisk, type DataDisk } from './data-disk.js';
import { POOL, SIMULATED_POOL, vmIds } from './steps.js';
import { createSecretTap, type SecretTap } from './secret-tap.js';
import { createService, type Service } from './service.js';
import { createTcpProxy, type TcpProxy } from './tcp-proxy.js';

export const ORGANIZATION = 'chaos-org';

/** A VM of the fleet, as the harness sees it. */
export interface WorldVm {
  readonly vmId: string;
  readonly service: Service;
  /** To the controller. */
  readonly http: TcpProxy;
  readonly grpc: TcpProxy;
  readonly stateDirectory: string;
  readonly runnerDirectory: string;
  readonly logFile: string;
  readonly clockFile: string;
}

export interface World {
  readonly folder: string;
  readonly disk: DataDisk;
  readonly github: StandInGitHub;
  readonly controller: Service;
  readonly controllerLogFile: string;
  readonly controllerClockFile: string;
  readonly vms: readonly WorldVm[];
  /** The process of the simulated VMs, if there are any. */
  readonly fleet: Service | undefined;
  /** What each simulated VM does, `NAME.jsonl`. */
  readonly witnessDirectory: string;
  /** From the one who submits to the controller, and from the controller to GitHub. */
  readonly callerLink: TcpProxy;
  readonly githubLink: TcpProxy;
  /** HTTP of the controller, without a proxy and with one. */
  readonly directUrl: string;
  readonly callerUrl: string;
  readonly secrets: SecretTap;
  /** Kills what is left, and closes what listens. Never rejects. */
  abandon(): Promise<void>;
}

export interface WorldOptions {
  readonly folder: string;
  readonly vmCount: number;
  readonly simulatedCount: number;
}

const PACKAGES = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
/** Ports that the system does not give away by itself, so that a controller finds its own again. */
const FIXED_PORTS = { min: 18_000, max: 30_000 };

export async function createWorld(options: WorldOptions): Promise<World> {
  const { folder, vmCount, simulatedCount } = options;
  const closers: (() => unknown)[] = [];
  const services: Service[] = [];
  const inFolder = (...names: string[]): string => path.join(folder, ...names);
  for (const name of ['logs', 'programs', 'vms', 'witness', 'clocks'])
    mkdirSync(inFolder(name), { recursive: true });
  const programs = copyPrograms(inFolder('programs'));
  const env = baseEnvironment();

  async function abandon(): Promise<void> {
    await Promise.all(services.map((service) => service.end('SIGKILL', 0)));
    for (const close of closers.reverse()) await close();
  }

  async function proxyTo(targetPort: number, onData?: (chunk: Buffer) => void): Promise<TcpProxy> {
    const proxy = await createTcpProxy({ targetPort, ...(onData ? { onData } : {}) });
    closers.push(() => proxy.close());
    return proxy;
  }

  function start(
    name: string,
    command: Parameters<typeof createService>[0]['command'],
    own: Record<string, string>,
  ) {
    const service = createService({
      name,
      command,
      env: { ...env, ...own },
      logFile: inFolder('logs', `${name}.log`),
    });
    services.push(service);
    return service;
  }

  try {
    const secrets = createSecretTap();
    const apiToken = secrets.invent();
    writeFileSync(inFolder('github-token'), `${apiToken}\n`, { mode: 0o600 });
    const github = await createStandInGitHub({
      tokens: [apiToken],
      organization: ORGANIZATION,
      pollMs: 5_000,
      sessionTimeoutMs: 5_000,
      acquireWithinMs: 10_000,
      jobLostAfterMs: JOB_LOST_MS,
      rateLimit: { limit: 10_000_000 },
    });
    closers.push(() => github.close());
    const githubLink = await proxyTo(github.port, secrets.onData);
    // Runners have a good network: what they do is not what is tested.
    const runnerLink = await proxyTo(github.port, secrets.onData);
    const disk = await createDataDisk(inFolder('controller_data'));
    closers.push(() => disk.close());
    const [httpPort, grpcPort] = [await findPort(), await findPort()];
    const callerLink = await proxyTo(httpPort);

    const controllerClockFile = inFolder('clocks', 'controller');
    const controller = start('controller', () => disk.command(process.execPath, programs.controller), {
      CONTROLLER_DATA_DIR: disk.directory,
      CONTROLLER_INSECURE: 'true',
      CONTROLLER_HTTP_PORT: String(httpPort),
      CONTROLLER_GRPC_PORT: String(grpcPort),
      CONTROLLER_GITHUB_AUTH: 'token',
      CONTROLLER_GITHUB_API_URL: `http://127.0.0.1:${githubLink.port}`,
      CONTROLLER_GITHUB_WEB_URL: `http://127.0.0.1:${runnerLink.port}`,
      CONTROLLER_GITHUB_TOKEN_FILE: inFolder('github-token'),
      CONTROLLER_GITHUB_ORG: ORGANIZATION,
      CONTROLLER_POOLS: `{ ${POOL}: { labels: [self-hosted, ${POOL}] }, ${SIMULATED_POOL}: { labels: [${SIMULATED_POOL}] } }`,
      // The simulated VMs have runners that GitHub does not know: nobody looks for them there.
      CONTROLLER_GITHUB_RECONCILIATION_GRACE: '24h',
      CONTROLLER_GITHUB_WRITES_PER_SECOND: '50',
      CONTROLLER_HEARTBEAT_INTERVAL: '1s',
      CONTROLLER_HEARTBEAT_LOST_AFTER: '5s',
      CONTROLLER_SHUTDOWN_DEADLINE: '4s',
      // What was accepted must be there in the end.
      CONTROLLER_RETENTION_FINISHED_COMMANDS: '1000000',
      MIG_TEST_CLOCK_FILE: controllerClockFile,
    });

    const vms: WorldVm[] = [];
    for (const vmId of vmIds(vmCount)) vms.push(await startVm(vmId));
    const fleet = simulatedCount > 0 ? await startFleet() : undefined;

    return {
      folder,
      disk,
      github,
      controller,
      controllerLogFile: inFolder('logs', 'controller.log'),
      controllerClockFile,
      vms,
      fleet,
      witnessDirectory: inFolder('witness'),
      callerLink,
      githubLink,
      directUrl: `http://127.0.0.1:${httpPort}`,
      callerUrl: `http://127.0.0.1:${callerLink.port}`,
      secrets,
      abandon,
    };

    async function startVm(vmId: string): Promise<WorldVm> {
      const [http, grpc] = [await proxyTo(httpPort), await proxyTo(grpcPort)];
      const stateDirectory = inFolder('vms', vmId, 'state');
      const runnerDirectory = inFolder('vms', vmId, 'actions-runner');
      const clockFile = inFolder('clocks', vmId);
      installStandInRunner(runnerDirectory, {
        env: { STAND_IN_RUNNER_RETRY_MS: '300', STAND_IN_RUNNER_SESSION_CONFLICT: '500:60' },
      });
      const service = start(vmId, () => [process.execPath, programs.miglet], {
        MIGLET_VM_ID: vmId,
        MIGLET_POOL_ID: POOL,
        MIGLET_ORG_ID: ORGANIZATION,
        MIGLET_STATE_DIR: stateDirectory,
        MIGLET_CONTROLLER_ENDPOINT: `http://127.0.0.1:${http.port}`,
        MIGLET_CONTROLLER_GRPC_ENDPOINT: `127.0.0.1:${grpc.port}`,
        MIGLET_CONTROLLER_RECONNECT_FIRST: '200ms',
        MIGLET_CONTROLLER_RECONNECT_MAX: '2s',
        MIGLET_CONTROLLER_MINIMUM_UPTIME: '3s',
        MIGLET_CONTROLLER_KEEPALIVE: '1s',
        MIGLET_CONTROLLER_KEEPALIVE_TIMEOUT: '1s',
        MIGLET_HEARTBEAT_INTERVAL: '1s',
        MIGLET_RUNNER_DIR: runnerDirectory,
        MIGLET_REGISTRATION_RETRY_FIRST: '200ms',
        MIGLET_REGISTRATION_RETRY_MAX: '2s',
        // GitHub is broken on purpose: a VM is not given up for that.
        MIGLET_REGISTRATION_MAX_FAILURES: '1000',
        ...(process.getuid?.() === 0 ? { MIGLET_RUNNER_ALLOW_ROOT: 'true' } : {}),
        MIG_TEST_CLOCK_FILE: clockFile,
      });
      const logFile = inFolder('logs', `${vmId}.log`);
      return { vmId, service, http, grpc, stateDirectory, runnerDirectory, logFile, clockFile };
    }

    async function startFleet(): Promise<Service> {
      const http = await proxyTo(httpPort);
      return start(
        'fleet',
        () => [
          process.execPath,
          path.join(PACKAGES, 'testkit', 'dist', 'fleet', 'main.js'),
          ...['--count', String(simulatedCount), '--endpoint', `http://127.0.0.1:${http.port}`],
          ...['--prefix', SIMULATED_POOL, '--pool-id', SIMULATED_POOL, '--org-id', ORGANIZATION],
          ...['--heartbeat', '2s', '--reconnect', '200ms..2s', '--seed', '1'],
          ...['--witness-dir', inFolder('witness'), '--exit-with-parent', String(process.pid)],
        ],
        {},
      );
    }
  } catch (error) {
    await abandon();
    throw error;
  }
}

/** Theirs from now on: what is compiled meanwhile does not change what runs. */
function copyPrograms(folder: string): { readonly controller: string; readonly miglet: string } {
  const copy = (name: string): string => {
    const file = path.join(folder, `${name}.mjs`);
    copyFileSync(path.join(PACKAGES, name, 'bundle', `${name}.test-points.mjs`), file);
    return file;
  };
  return { controller: copy('controller'), miglet: copy('miglet') };
}

/** What a process needs of the machine; nothing else of this one's environment shall change what happens. */
function baseEnvironment(): Record<string, string> {
  return Object.fromEntries(
    ['PATH', 'HOME', 'TMPDIR', 'LANG'].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

async function findPort(): Promise<number> {
  for (;;) {
    const port = FIXED_PORTS.min + Math.floor(Math.random() * (FIXED_PORTS.max - FIXED_PORTS.min));
    const isFree = await new Promise<boolean>((resolve) => {
      const server = net.createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
