import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { FindingResource, RunnerRowResource } from '@mig/common/api/github-resource';
import { parse } from 'yaml';
import { migctl } from '../run-migctl.contract.js';
import { makeGitHub, NOW, ScriptedController } from '../scripted-controller.contract.js';

const at = (agoMs: number): string => new Date(NOW - agoMs).toISOString();
const MINUTE_MS = 60_000;

let controller: ScriptedController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
});
afterEach(() => controller.stop());
const run = (...argv: string[]) => migctl(argv, { controller });

const finding = (fields: Partial<FindingResource> = {}): FindingResource => ({
  kind: 'ghost',
  runner: 'mig-k3x9-vm-9-11111111',
  scope: '/orgs/acme',
  action: 'delete',
  reason: 'no VM of this name is known',
  since: at(3 * MINUTE_MS),
  sightings: 4,
  ...fields,
});

const row = (fields: Partial<RunnerRowResource>): RunnerRowResource => ({
  name: 'mig-k3x9-vm-1-11111111',
  scope: '/orgs/acme',
  ours: true,
  listed_at: at(20_000),
  github: { id: 7, status: 'online', busy: false, labels: ['self-hosted', 'linux'] },
  vm: {
    vm_id: 'vm-1',
    boot_id: '11111111',
    state: 'ready.idle',
    link: 'connected',
    liveness: 'alive',
    runner_name: 'mig-k3x9-vm-1-11111111',
    registering: false,
  },
  finding: null,
  ...fields,
});
const vm = (fields: Partial<NonNullable<RunnerRowResource['vm']>>) => {
  const { vm: base } = row({});
  return base === null ? null : { ...base, ...fields };
};

const RUNNERS = [
  row({}),
  row({
    name: 'mig-k3x9-vm-2-22222222',
    github: { id: 8, status: 'online', busy: true, labels: [] },
    vm: vm({ vm_id: 'vm-2', state: 'ready.busy', job: 'build', runner_name: 'mig-k3x9-vm-2-22222222' }),
  }),
  row({
    name: 'mig-k3x9-vm-3-33333333',
    github: null,
    vm: vm({ vm_id: 'vm-3', runner_name: 'mig-k3x9-vm-3-33333333' }),
    finding: finding({
      kind: 'missing',
      action: 'replace',
      runner: 'mig-k3x9-vm-3-33333333',
      vm_id: 'vm-3',
      reason: 'VM vm-3 says that it waits for jobs, and GitHub has no such runner',
      since: at(MINUTE_MS),
      sightings: 2,
    }),
  }),
  row({
    name: 'mig-k3x9-vm-9-11111111',
    github: { id: 9, status: 'offline', busy: false, labels: [] },
    vm: null,
    finding: finding(),
  }),
];

describe('get runners', () => {
  beforeEach(() => {
    controller.runners = RUNNERS;
  });

  it('when nothing is asked for, then the three views are side by side', async () => {
    expect((await run('get', 'runners')).stdout).toBe(
      'NAME                     VM     GITHUB         VM SAYS                 FINDING            SINCE\n' +
        'mig-k3x9-vm-1-11111111   vm-1   online         ready.idle              -                  -\n' +
        'mig-k3x9-vm-2-22222222   vm-2   online, busy   ready.busy, job build   -                  -\n' +
        'mig-k3x9-vm-3-33333333   vm-3   none           ready.idle              missing: replace   60s\n' +
        'mig-k3x9-vm-9-11111111   -      offline        -                       ghost: delete      3m\n',
    );
  });

  it('when -o is wide, json, yaml or name, then it prints that', async () => {
    const runners = JSON.parse(JSON.stringify(RUNNERS)) as unknown;
    const wide = (await run('get', 'runners', '-o', 'wide')).stdout;
    expect(wide).toMatch(/^NAME .* PLACE +ID +OURS +LABELS +LISTED +SEEN +REASON$/m);
    expect(wide).toMatch(
      /^mig-k3x9-vm-9\S* .* \/orgs\/acme +9 +yes +- +20s ago +4x +no VM of this name is known$/m,
    );
    expect(JSON.parse((await run('get', 'runners', '-o', 'json')).stdout)).toEqual({ runners });
    expect(parse((await run('get', 'runners', '-o', 'yaml')).stdout)).toEqual({ runners });
    expect((await run('get', 'runners', '-o', 'name')).stdout).toBe(
      RUNNERS.map(({ name }) => `${name}\n`).join(''),
    );
  });

  it('when one VM or only findings are asked for, then the controller chooses', async () => {
    expect((await run('get', 'runners', '--vm', 'vm-2', '-o', 'name')).stdout).toBe(
      'mig-k3x9-vm-2-22222222\n',
    );
    expect((await run('get', 'runners', '--findings', '-o', 'name')).stdout).toBe(
      'mig-k3x9-vm-3-33333333\nmig-k3x9-vm-9-11111111\n',
    );
    expect(await run('get', 'runners', '--vm', 'vm-7')).toMatchObject({
      code: 0,
      stderr: 'No runner matches.\n',
    });
    expect(await run('get', 'runners', '--vm', 'a/b')).toMatchObject({ code: 2 });
  });

  it.each([
    ['GitHub was not asked yet', row({ listed_at: undefined, github: null }), /vm-1 +\? +ready\.idle +-/],
    [
      'the VM has another runner',
      row({ vm: vm({ runner_name: 'other' }) }),
      /online +ready\.idle, runner other +-/,
    ],
    [
      'the VM has none',
      row({ vm: vm({ runner_name: '', state: 'draining.drained' }) }),
      /draining\.drained, no runner +-/,
    ],
    [
      'the VM has said nothing',
      row({ vm: vm({ runner_name: undefined, liveness: 'lost' }) }),
      /ready\.idle, nothing of a runner, lost +-/,
    ],
    ['it is left alone', row({ finding: finding({ action: 'none' }) }), /ghost +3m$/],
  ])('when %s, then it says so', async (_, runner, text) => {
    controller.runners = [runner];
    expect((await run('get', 'runners', '--no-headers')).stdout.trimEnd()).toMatch(text);
  });

  it('when there is none, then it says why', async () => {
    controller.runners = [];
    expect(await run('get', 'runners')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'The controller does not sign in at GitHub (github.auth is none): no runner is known.\n',
    });
    controller.github = { ...connected(), reconciliation: { ...RECONCILIATION, last_round: undefined } };
    expect((await run('get', 'runners')).stderr).toMatch(/has not been asked for its runners yet/);
    controller.github = connected();
    expect((await run('get', 'runners')).stderr).toMatch(/^There is no runner of this controller/);
  });

  it('when a name tries to move the cursor, then it cannot', async () => {
    controller.runners = [row({ name: 'mig\u001b[2J\nforged' })];
    expect((await run('get', 'runners', '--no-headers')).stdout).toMatch(/^mig forged +vm-1/);
  });
});

const RECONCILIATION = {
  interval_ms: MINUTE_MS,
  grace_ms: 5 * MINUTE_MS,
  last_round: { at: at(30_000), duration_ms: 412, deleted: 1, replaced: 0, left: 0 },
  scopes: [{ scope: '/orgs/acme', listed_at: at(30_000), runners: 12, ours: 4 }],
  findings: [finding({ note: 'GitHub answered 502' })],
  recent: [
    {
      at: at(10 * MINUTE_MS),
      kind: 'ghost' as const,
      action: 'delete' as const,
      runner: 'mig-k3x9-vm-8-88888888',
      scope: '/orgs/acme',
      vm_id: 'vm-8',
      reason: 'VM vm-8 has ended (shutdown.done)',
      since: at(15 * MINUTE_MS),
    },
  ],
};

const NOTHING = { made: 0, put_off: 0 };
const connected = () =>
  makeGitHub({
    auth: 'app',
    installations: [
      {
        name: 'installation 42 (acme)',
        limit: 5_000,
        remaining: 700,
        reset_at: at(-24 * MINUTE_MS),
        calls: {
          registration: { made: 12, put_off: 0 },
          deletion: { made: 3, put_off: 1 },
          reconciliation: NOTHING,
          listing: NOTHING,
        },
        waiting: [{ class: 'listing', until: at(-24 * MINUTE_MS) }],
        problem: 'GitHub answered 502',
      },
    ],
    webhooks: {
      configured: true,
      last_delivery_at: at(5_000),
      taken: 120,
      duplicates: 2,
      ignored: 1,
      refused: { 'bad-signature': 3 },
      jobs: { open: 4, finished: 100 },
      redelivery: { source: 'the App', lost: 1, last_round_at: at(40_000) },
    },
    reconciliation: RECONCILIATION,
  });

describe('describe github', () => {
  it('when the controller signs in as an App, then all is shown', async () => {
    controller.github = connected();
    const { stdout, code } = await run('describe', 'github');
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        'GitHub:     https://api.github.com',
        'Signs in:   as a GitHub App',
        'Ready:      GitHub counts for nothing in /readyz: while it is away, registrations wait, and all else goes on',
        'Limit of installation 42 (acme):',
        '  Left:       700 of 5000 requests left in this hour, anew in 24m',
        '  Requests:   registration 12, deletion 3 (1 put off)',
        '  Waiting:    listing for 24m',
        '  Problem:    GitHub answered 502',
        'Webhooks:',
        '  Last:       2026-11-21 11:59:55Z (5s ago)',
        '  Taken:      120, 2 that came twice, 1 of other events',
        '  Refused:    3 bad-signature',
        '  Jobs:       4 open, 100 finished (migctl get workflow-jobs)',
        '  Lost:       1 still to come, by the App, looked for 40s ago',
        'Reconciliation:',
        '  Every:      1m; what stays wrong for 5m is acted upon',
        '  Last round: 2026-11-21 11:59:30Z (30s ago), took 412 ms; 1 deleted, 0 replaced, 0 left to the next',
        '  Place:      /orgs/acme: 12 runners, 4 ours, listed 30s ago',
        'Findings:',
        '  RUNNER                   VM   FINDING         SINCE   SEEN   REASON',
        '  mig-k3x9-vm-9-11111111   -    ghost: delete   3m      4x     no VM of this name is known (GitHub answered 502)',
        'Done:',
        '  AGE   RUNNER                   VM     DONE      REASON',
        '  10m   mig-k3x9-vm-8-88888888   vm-8   deleted   VM vm-8 has ended (shutdown.done)',
        '',
      ].join('\n'),
    );
  });

  it('as data it is what the API says', async () => {
    controller.github = connected();
    const { stdout } = await run('describe', 'github', '-o', 'json');
    expect(JSON.parse(stdout)).toMatchObject({ webhooks: { taken: 120, jobs: { open: 4 } } });
  });

  it('when the controller does not sign in, then it says so', async () => {
    const { stdout } = await run('describe', 'github');
    expect(stdout).toMatch(
      /^Signs in: +none: the controller does not sign in at GitHub, and registrations wait \(github\.auth\)$/m,
    );
    expect(stdout).toMatch(
      /^ {2}Taken: +none: github\.webhook\.secret_file is empty, and every webhook is refused$/m,
    );
    expect(stdout).toMatch(/^Reconciliation: none, because the controller does not sign in$/m);
  });

  it('when nothing has happened yet, or GitHub asks to be left alone, then it says that', async () => {
    const github = connected();
    const [installation] = github.installations;
    if (installation === undefined) throw new Error('no installation');
    controller.github = {
      ...github,
      auth: 'token',
      installations: [
        {
          name: 'token',
          calls: { registration: NOTHING, deletion: NOTHING, reconciliation: NOTHING, listing: NOTHING },
          waiting: [],
          quiet_until: at(-30_000),
        },
      ],
      webhooks: {
        ...github.webhooks,
        last_delivery_at: undefined,
        refused: {},
        redelivery: null,
        redelivery_off: 'it is false',
        problem: 'the signature is wrong',
      },
      reconciliation: {
        ...RECONCILIATION,
        last_round: undefined,
        scopes: [],
        findings: [],
        recent: [],
        problem: '/orgs/acme: GitHub answered 403',
      },
    };
    const { stdout } = await run('describe', 'github');
    for (const line of [
      'Signs in:   with a token',
      '  Left:       not known yet',
      '  Requests:   none',
      '  Waiting:    all, because GitHub asks to be left alone for 30s',
      '  Last:       none yet',
      '  Refused:    none',
      '  Lost:       not looked for: it is false',
      '  Problem:    the signature is wrong',
      '  Last round: none yet',
      '  Problem:    /orgs/acme: GitHub answered 403',
      'Findings: none',
      'Done: none',
    ])
      expect(stdout.split('\n')).toContain(line);
  });

  it('when a reason tries to move the cursor, then it cannot', async () => {
    controller.github = makeGitHub({ api_url: 'https://x\u001b[2J' });
    expect((await run('describe', 'github')).stdout).toMatch(/^GitHub: {5}https:\/\/x$/m);
  });
});
