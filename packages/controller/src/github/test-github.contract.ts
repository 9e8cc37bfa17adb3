/** Everything of github/ against the stand-in GitHub, with a clock that stands still and no pauses between retries. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type * as z from 'zod';
import { createAppKey, type AppKey } from '@mig/testkit/github/app/app-key';
import type { RouteName } from '@mig/testkit/github/exchange';
import {
  createStandInGitHub,
  type StandInGitHub,
  type StandInGitHubOptions,
} from '@mig/testkit/github/stand-in-github';
import type { VmRecord } from '@mig/common/domain/vm';
import { createManualClock, type ManualClock } from '../../../common/src/manual-clock.contract.js';
import { controllerConfigSchema } from '../config.js';
import type { VmView } from '../fleet/fleet.js';
import { createTestLog, type TestLog } from '../test-log.contract.js';
import { createGitHub, type GitHub, type GitHubDeps } from './create-github.js';

export const TEST_TOKENS = ['ghp_first-secret', 'ghp_second-secret'];
export const TEST_APP_ID = 4711;

type ConfigInput = z.input<typeof controllerConfigSchema>;

export interface TestGitHubOptions {
  /** Beside credentials and the address, as in the configuration file. */
  readonly config?: Omit<ConfigInput, 'github'> & { readonly github?: Partial<ConfigInput['github']> };
  readonly auth?: 'token' | 'app';
  readonly standIn?: Partial<StandInGitHubOptions>;
  readonly fetch?: GitHubDeps['fetch'];
}

export interface TestGitHub {
  readonly standIn: StandInGitHub;
  readonly github: GitHub;
  readonly clock: ManualClock;
  readonly log: TestLog;
  readonly tokenFile: string;
  readonly keyFile: string;
  /** VMs that the fleet knows. */
  readonly vms: VmRecord[];
  /** Another controller on the same stand-in. */
  create(config?: TestGitHubOptions['config'], controllerId?: string): GitHub;
  /** How often the stand-in was asked on a route. */
  asked(route: RouteName): number;
  dispose(): Promise<void>;
}

let appKey: AppKey | undefined;
/** Some 100 ms to make: one for all tests of a file. */
export const testAppKey = (): AppKey => (appKey ??= createAppKey());

export async function createTestGitHub(options: TestGitHubOptions = {}): Promise<TestGitHub> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'mig-github-'));
  const [tokenFile, keyFile] = [path.join(directory, 'token'), path.join(directory, 'app.pem')];
  const auth = options.auth ?? 'token';
  await writeFile(tokenFile, `${TEST_TOKENS[0]}\n`);
  if (auth === 'app') await writeFile(keyFile, testAppKey().privateKey);
  const clock = createManualClock();
  const log = createTestLog();
  const vms: VmRecord[] = [];
  const standIn = await createStandInGitHub({
    tokens: auth === 'token' ? TEST_TOKENS : [],
    ...(auth === 'app' ? { app: { id: TEST_APP_ID, keys: [testAppKey().publicKey] } } : {}),
    clock,
    ...options.standIn,
  });

  function create(config: TestGitHubOptions['config'] = options.config, controllerId = 'k3x9f2'): GitHub {
    const parsed = controllerConfigSchema.parse({
      ...config,
      github: {
        auth,
        api_url: standIn.apiUrl,
        web_url: 'https://github.example',
        token_file: auth === 'token' ? tokenFile : '',
        app_id: auth === 'app' ? TEST_APP_ID : '',
        private_key_file: auth === 'app' ? keyFile : '',
        writes_per_second: 50,
        ...config?.github,
      },
    });
    const viewOf = (record: VmRecord) => ({ record }) as VmView;
    const fleet: GitHubDeps['fleet'] = {
      views: () => vms.map(viewOf),
      get: (vmId) => vms.filter((vm) => vm.vmId === vmId).map(viewOf)[0],
      decide(vmId, decision) {
        const at = vms.findIndex((vm) => vm.vmId === vmId);
        const vm = vms[at];
        if (vm !== undefined) vms[at] = { ...vm, ...decision };
        return Promise.resolve();
      },
    };
    const { logger } = log;
    return createGitHub(parsed, controllerId, {
      fleet,
      clock,
      logger,
      retryPauseMs: 1,
      fetch: options.fetch,
    });
  }

  const github = create();
  return {
    standIn,
    github,
    clock,
    log,
    tokenFile,
    keyFile,
    vms,
    create,
    asked: (route) => standIn.requests().filter((request) => request.route === route).length,
    async dispose() {
      github.stop();
      await standIn.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
