/** 200 MIGlets in one process against one controller. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { until } from '@mig/testkit/github/until';
import { startFleet, type SimulatedFleet } from '@mig/testkit/fleet/fleet';
import { systemClock } from '@mig/common/clock';
import { controllerConfigSchema } from '@mig/controller/config';
import { startController, type Controller } from '@mig/controller/controller';
import { createMemoryLog } from './memory-log.js';
import { runMigctl } from './run-migctl.js';

const COUNT = 200;
const TOKEN = 'a-token-of-the-test';
const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-fleet-'));
let github: StandInGitHub | undefined;
let controller: Controller | undefined;
let fleet: SimulatedFleet | undefined;

afterEach(async () => {
  await fleet?.stop();
  await controller?.stop();
  await github?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a fleet', () => {
  test('when 200 MIGlets start at once, all become ready, one drain reaches all, and no log has an error', async () => {
    const log = createMemoryLog();
    github = await createStandInGitHub({ tokens: [TOKEN], organization: 'acme' });
    const tokenFile = path.join(folder, 'token');
    writeFileSync(tokenFile, TOKEN);
    controller = await startController({
      config: controllerConfigSchema.parse({
        data_dir: path.join(folder, 'data'),
        insecure: true,
        http: { port: 0 },
        grpc: { port: 0 },
        github: {
          auth: 'token',
          api_url: github.url,
          web_url: github.url,
          token_file: tokenFile,
          org: 'acme',
          // What takes minutes with GitHub's limits is to take seconds here.
          writes_per_second: 50,
        },
        pools: { sim: { labels: ['self-hosted', 'sim'] } },
      }),
      clock: systemClock,
      logger: log.logger,
      random: Math.random,
      version: 'test',
    });
    const endpoint = `http://127.0.0.1:${controller.httpPort}`;
    fleet = startFleet({
      count: COUNT,
      prefix: 'sim',
      poolId: 'sim',
      orgId: 'acme',
      endpoint,
      heartbeatInterval: '5s',
      clock: systemClock,
      logger: log.logger,
      random: Math.random,
    });
    const running = fleet;
    await until('all are ready', () => running.states()['ready.idle'] === COUNT, 40_000);
    // Each was registered once: GitHub's limits are not spent on a fleet that starts.
    const asked = github.requests().filter((request) => request.route === 'generate-jitconfig');
    expect(asked).toHaveLength(COUNT);

    running.vms.slice(0, 20).forEach((vm) => vm.startJob('a job'));
    const drain = runMigctl('drain', '--all', '--yes', '--wait', '--timeout', '60s', '--server', endpoint);
    await until(
      'the idle ones are drained',
      () => running.states()['draining.drained'] === COUNT - 20,
      40_000,
    );
    expect(running.states()['draining.finishingJob']).toBe(20);
    running.vms.slice(0, 20).forEach((vm) => vm.endJob('Succeeded'));
    expect(await drain).toMatchObject({ code: 0 });
    expect(running.states()).toEqual({ 'draining.drained': COUNT });
    expect(running.vms.reduce((sum, vm) => sum + vm.jobsKilled, 0)).toBe(0);
    // That it asks for no credential is all that there is to warn of.
    expect(log.linesAbove('info')).toEqual([expect.stringContaining('insecure')]);
  }, 120_000);
});
