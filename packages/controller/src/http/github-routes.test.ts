/** GitHub as an operator sees it: a whole controller, real streams, and the stand-in GitHub. */
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  githubSchema,
  runnerListSchema,
  type GitHubResource,
  type RunnerRowResource,
} from '@mig/common/api/github-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import { until } from '@mig/testkit/github/until';
import { createOwnership } from '../github/runners/ownership.js';
import { vmReport } from '../store/samples.contract.js';
import { GITHUB_TOKEN, startTestController, type TestController } from '../test-controller.contract.js';
import type { TestMiglet } from '../test-miglet.contract.js';
import { expectProblem } from './expect-problem.contract.js';

const ownership = createOwnership('mig', 'k3x9');
const BOOT = 'boot1111-2222';
const NAME = ownership.runnerName({ vmId: 'vm-1', bootId: BOOT });
const GHOST = ownership.runnerName({ vmId: 'vm-9', bootId: BOOT });

let test: TestController;
afterEach(() => test.dispose());

const start = async (graceText: string): Promise<void> => {
  test = await startTestController({
    withGitHub: true,
    github: { org: 'acme', reconciliation: { interval: '1s', grace: graceText } },
    config: { controller_id: 'k3x9' },
  });
};

const github = async () => (await test.call<GitHubResource>('GET', '/api/v1/github')).json;
const runners = async (query = '') =>
  (
    await test.call<{ runners: RunnerRowResource[]; next_cursor?: string }>(
      'GET',
      `/api/v1/github/runners${query}`,
    )
  ).json;

async function mint(name: string): Promise<void> {
  const response = await fetch(`${test.github.url}/orgs/acme/actions/runners/generate-jitconfig`, {
    method: 'POST',
    headers: { authorization: `Bearer ${GITHUB_TOKEN}`, accept: 'application/vnd.github+json' },
    body: JSON.stringify({ name, runner_group_id: 1, labels: ['self-hosted'] }),
  });
  expect(response.status).toBe(201);
}

const beat = (miglet: TestMiglet, name: string): void =>
  miglet.send({
    kind: 'heartbeat',
    heartbeat: {
      ...{ vmId: 'vm-1', poolId: 'pool-a', orgId: 'acme', bootId: BOOT, at: 0, intervalMs: 0 },
      report: vmReport({ runner: { state: 'idle', configured: true, name, labels: [] } }),
    },
  });

describe('GET /api/v1/github', () => {
  it('of a controller that does not sign in says so', async () => {
    test = await startTestController();
    const answer = await github();
    expect(githubSchema.parse(answer)).toEqual(answer);
    expect(answer).toMatchObject({
      auth: 'none',
      api_url: 'https://api.github.com',
      installations: [],
      webhooks: {
        configured: false,
        redelivery: null,
        redelivery_off: expect.stringMatching(/secret_file is empty/),
      },
      reconciliation: null,
    });
    expect(await runners()).toEqual({ runners: [] });
  });

  it('says how it signs in, what is left of the limit, and what was found', async () => {
    await start('1h');
    await mint(GHOST);
    const answer = await until('a round has seen it twice', async () => {
      const now = await github();
      return (now.reconciliation?.findings[0]?.sightings ?? 0) >= 2 && now;
    });
    expect(githubSchema.parse(answer)).toEqual(answer);
    expect(answer).toMatchObject({
      auth: 'token',
      api_url: test.github.url,
      installations: [
        {
          limit: 5_000,
          remaining: expect.any(Number),
          calls: { reconciliation: { made: expect.any(Number), put_off: 0 } },
          waiting: [],
        },
      ],
      reconciliation: {
        interval_ms: 1_000,
        grace_ms: 3_600_000,
        last_round: { deleted: 0, replaced: 0, left: 0 },
        scopes: [{ scope: '/orgs/acme', runners: 1, ours: 1 }],
        findings: [{ kind: 'ghost', runner: GHOST, action: 'delete', reason: 'no VM of this name is known' }],
        recent: [],
      },
    });
    expect(answer.reconciliation?.problem).toBeUndefined();
    expect(JSON.stringify(answer)).not.toContain(GITHUB_TOKEN); // I8
  });

  it('says what is wrong when GitHub is away; the controller is ready all the same', async () => {
    await start('1h');
    test.github.faults.setReachable(false);
    const answer = await test.eventually<GitHubResource>(
      'a round failed',
      '/api/v1/github',
      ({ reconciliation }) => reconciliation?.problem !== undefined,
    );
    expect(answer.reconciliation?.problem).toMatch(/^\/orgs\/acme: /);
    expect((await test.call('GET', '/readyz')).status).toBe(200);
  });
});

describe('GET /api/v1/github/runners', () => {
  it('shows the three views side by side', async () => {
    await start('1h');
    const miglet = await test.miglet({ bootId: BOOT });
    await mint(NAME);
    await mint(GHOST);
    await mint('linux-1');
    beat(miglet, NAME);
    const answer = await until('both are listed', async () => {
      const now = await runners();
      return now.runners.filter(({ finding }) => finding !== null).length === 2 && now;
    });
    expect(runnerListSchema.parse(answer)).toEqual(answer);
    expect(answer.runners).toMatchObject([
      {
        name: NAME,
        scope: '/orgs/acme',
        ours: true,
        github: { status: 'offline', busy: false, labels: ['self-hosted'] },
        vm: {
          vm_id: 'vm-1',
          boot_id: BOOT,
          state: 'ready.idle',
          link: 'connected',
          liveness: 'alive',
          runner_name: NAME,
        },
        finding: { kind: 'offline', action: 'replace' },
      },
      { name: GHOST, vm: null, finding: { kind: 'ghost', action: 'delete' } },
    ]);
    expect((await runners('?vm_id=vm-1')).runners.map(({ name }) => name)).toEqual([NAME]);
    expect((await runners('?findings=false')).runners).toEqual([]);
    const first = await runners('?limit=1');
    expect(first.runners.map(({ name }) => name)).toEqual([NAME]);
    expect((await runners(`?limit=1&cursor=${first.next_cursor}`)).runners.map(({ name }) => name)).toEqual([
      GHOST,
    ]);
  });

  it('refuses what it does not understand', async () => {
    test = await startTestController();
    for (const query of ['?findings=maybe', '?vm_id=a%2Fb', '?limit=0', '?cursor=abc']) {
      const problem = await expectProblem(test, 'GET', `/api/v1/github/runners${query}`);
      expect(problem).toMatchObject({ status: 400, type: 'urn:mig:problem:bad-request' });
    }
  });
});

describe('reconciliation of a whole controller', () => {
  it('deletes a runner of ours that no VM has', async () => {
    await start('1s');
    await mint(GHOST);
    await mint('linux-1');
    const recent = await until('something is done', async () => {
      const { reconciliation } = await github();
      return reconciliation !== null && reconciliation.recent.length > 0 && reconciliation.recent;
    });
    expect(recent).toMatchObject([{ kind: 'ghost', action: 'delete', runner: GHOST }]);
    expect(test.github.runners()).toMatchObject([{ name: 'linux-1' }]);
    expect(test.github.violations()).toEqual([]);
  });

  it('has a runner replaced that GitHub dropped: its VM gets another registration, under another name', async () => {
    await start('1s');
    const miglet = await test.miglet({ bootId: BOOT });
    const beats = setInterval(() => beat(miglet, NAME), 100);
    try {
      const command = await until('it is told to', () =>
        miglet.commands().find(({ type }) => type === 'register_runner'),
      );
      expect(command.parameters).toMatchObject({ replace: true, jit_config: expect.any(String) });
      // It has the runner of the old name deleted before it starts the new one.
      expect(command.parameters['runner_name']).toBe(`${NAME}-2`);
      const { json } = await test.call<{ events: EventResource[] }>('GET', '/api/v1/vms/vm-1/events');
      expect(json.events).toMatchObject([
        {
          type: 'runner_replaced',
          data: { runner: NAME, command_id: command.id, reason: expect.stringMatching(/no such runner/) },
        },
      ]);
      expect(test.log.text()).not.toContain(command.parameters['jit_config']); // I8
    } finally {
      clearInterval(beats);
    }
  });

  it('stops with the controller, though GitHub does not answer', async () => {
    await start('1s');
    const hold = test.github.faults.hold('list-runners');
    await until('it asks', () => hold.waiting() > 0);
    const beganMs = performance.now();
    await test.controller.stop();
    expect(performance.now() - beganMs).toBeLessThan(4_000);
  });
});
