/** A VM without a runner, a controller that knows of one, and a server that has it. All on 127.0.0.1 and in a folder. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { create } from 'tar';
import { silentLogger } from '@mig/common/logger';
import type { Outcome } from '@mig/common/outcome';
import { installStandInRunner } from '@mig/testkit/runner/install';
import { createManualClock } from '../../../../common/src/manual-clock.contract.js';
import {
  createInstaller,
  type InstalledRunner,
  type InstallerOptions,
  type RunnerInstaller,
} from './install-runner.js';
import { createReleaseServer, sha256, type ReleaseServer } from './release-server.contract.js';
import { TEST_CA } from './tls.contract.js';

export interface InstallGround {
  readonly folder: string;
  /** `runner.dir`; nothing is there. */
  directory: string;
  readonly archive: Buffer;
  server: ReleaseServer;
  /** What the controller answers. */
  answer: { status: number; body: unknown; headers?: Record<string, string> };
  /** What the controller was asked for. */
  readonly asked: string[];
  readonly told: InstalledRunner[];
  /** What a controller answers that knows of the archive that is served now. */
  offered(version?: string): { version: string; url: string; sha256: string };
  /** An archive of what is made in a folder, as GitHub packs its own: with `.` as its first entry. */
  pack(make: (place: string) => void): Promise<Buffer>;
  options(over?: Partial<InstallerOptions['release']>): InstallerOptions;
  installer(over?: Partial<InstallerOptions['release']>): RunnerInstaller;
  install(over?: Partial<InstallerOptions['release']>): Promise<Outcome<InstalledRunner | undefined>>;
  /** What is in the folder of the VM: the runner's folder, and nothing else, ever. */
  beside(): string[];
  close(): Promise<void>;
}

export async function createInstallGround(): Promise<InstallGround> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-install-'));
  async function pack(make: (place: string) => void): Promise<Buffer> {
    const place = mkdtempSync(path.join(folder, 'pack-'));
    make(place);
    const file = `${place}.tar.gz`;
    await create({ gzip: true, cwd: place, file, portable: true }, ['.']);
    const bytes = readFileSync(file);
    rmSync(place, { recursive: true });
    rmSync(file);
    return bytes;
  }
  const controller = createServer((request, response) => {
    ground.asked.push(request.url ?? '');
    const { status, headers, body } = ground.answer;
    response.writeHead(status, headers).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => controller.listen(0, '127.0.0.1', resolve));
  const { port } = controller.address() as AddressInfo;
  const archive = await pack((place) => void installStandInRunner(place));

  const ground: InstallGround = {
    folder,
    directory: path.join(folder, 'vm', 'actions-runner'),
    archive,
    server: await createReleaseServer(archive),
    answer: { status: 200, body: {} },
    asked: [],
    told: [],
    pack,
    offered: (version = '2.336.0') => ({
      version,
      url: ground.server.url,
      sha256: sha256(ground.server.archive),
    }),
    options: (over = {}) => ({
      directory: ground.directory,
      release: {
        endpoint: `http://127.0.0.1:${port}`,
        version: '',
        downloadUrl: '',
        sha256: '',
        platform: { os: 'linux', architecture: 'x64' },
        ...over,
      },
      download: { env: {}, ca: TEST_CA, retryMs: 1 },
      timeoutMs: 15_000,
    }),
    installer: (over) =>
      createInstaller(ground.options(over), {
        clock: createManualClock(),
        logger: silentLogger,
        onInstalled: (installed) => ground.told.push(installed),
      }),
    install: (over) => ground.installer(over).install(new AbortController().signal),
    beside: () => readdirSync(path.dirname(ground.directory)),
    async close() {
      controller.close();
      controller.closeAllConnections();
      await ground.server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  mkdirSync(path.dirname(ground.directory));
  ground.answer.body = ground.offered();
  return ground;
}
