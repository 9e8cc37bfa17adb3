import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LIVENESS, LINKS, type VmRecord } from '@mig/common/domain/vm';
import type { VmView } from '../../fleet/fleet.js';
import { vmRecord } from '../../store/samples.contract.js';
import type { Scope } from '../client/github-client.js';
import { createOwnership } from '../runners/ownership.js';
import type { GitHubRunner } from '../runners/runners-api.js';
import { findings, type Finding, type JobEnd } from './findings.js';
import { joinViews, toVmWord, type VmWord, type WordContext } from './views.js';

const SCOPE: Scope = { kind: 'org', org: 'acme' };
const ownership = createOwnership('mig', 'k3x9');
const OTHER_CONTROLLER = createOwnership('mig', 'zzzz');
const BOOT = '11111111-0000';
const NAME = ownership.runnerName({ vmId: 'vm-1', bootId: BOOT });
const LEGACY_NAME = ownership.runnerName({ vmId: 'vm-1', bootId: '' });

interface Said {
  readonly record?: Partial<VmRecord>;
  readonly view?: Partial<VmView>;
  readonly context?: Partial<WordContext>;
  /** Name of its runner; empty = none. Default as the rule gives it. */
  readonly runner?: string;
}

function word({ record = {}, view = {}, context = {}, runner = NAME }: Said = {}): VmWord {
  const full = vmRecord({
    bootId: BOOT,
    lastHeartbeatAt: 1,
    runner: { state: 'idle', configured: runner !== '', name: runner, labels: [] },
    ...record,
  });
  return toVmWord(
    { record: full, link: 'connected', liveness: 'alive', heardAtMs: 1, silentMs: 0, ...view },
    { scope: SCOPE, registrationOpen: false, draining: false, ...context },
  );
}

const runner = (fields: Partial<GitHubRunner> = {}): GitHubRunner => ({
  id: 7,
  name: NAME,
  online: true,
  busy: false,
  labels: [],
  ...fields,
});

const found = (
  runners: readonly GitHubRunner[],
  vms: readonly VmWord[],
  jobEnd: JobEnd = () => undefined,
): Finding[] => findings(joinViews([{ scope: SCOPE, runners }], vms, ownership), { ownership, jobEnd });

const kinds = (...args: Parameters<typeof found>): string[] =>
  found(...args).map(({ kind, action }) => `${kind}/${action}`);

const JOB = {
  jobId: '1',
  runId: '',
  name: 'build',
  repository: '',
  branch: '',
  commit: '',
  status: 'running' as const,
  startedAt: 1_000,
};

describe('a runner and a VM that fit together', () => {
  it.each<[string, Said, Partial<GitHubRunner>]>([
    ['the runner waits for jobs', {}, {}],
    ['the runner has a job', { record: { state: 'ready.busy', currentJob: JOB } }, { busy: true }],
    [
      'the VM drains with a job',
      { record: { state: 'draining.finishingJob', currentJob: JOB } },
      { busy: true },
    ],
    ['the VM retires its runner', { record: { state: 'draining.deregistering' } }, { online: false }],
  ])('%s: nothing is found', (_, said, github) => {
    expect(kinds([runner(github)], [word(said)])).toEqual([]);
  });
});

describe('a ghost', () => {
  it.each<[string, RegExp, Said | undefined, Partial<GitHubRunner>]>([
    ['no VM of the name is known', /no VM/, undefined, {}],
    ['the VM has ended', /has ended/, { record: { state: 'shutdown.done', outcome: 'drained' } }, {}],
    [
      'the VM ended, and still says that it has the runner',
      /has ended/,
      { record: { outcome: 'failed' } },
      {},
    ],
    ['the VM is in another boot', /another boot/, { record: { bootId: '22222222' }, runner: '' }, {}],
    [
      'the VM of another boot registers just now',
      /another boot/,
      { record: { bootId: '22222222', state: 'registering.starting' }, runner: '' },
      {},
    ],
    [
      'the VM says that it has none',
      /has no runner/,
      { record: { state: 'draining.drained' }, runner: '' },
      {},
    ],
    ['the VM says that it has another', /is mig-k3x9-vm-1-11111111-2/, { runner: `${NAME}-2` }, {}],
    [
      'the VM is lost, and GitHub does not hear the runner',
      /is lost/,
      { view: { liveness: 'lost' } },
      { online: false },
    ],
    [
      'the VM was lost while it registered',
      /is lost/,
      { record: { state: 'registering.starting' }, view: { liveness: 'lost' }, runner: '' },
      { online: false },
    ],
  ])('is a runner of ours when %s: it is deleted', (_, reason, said, github) => {
    const ghosts = found([runner(github)], said === undefined ? [] : [word(said)]).filter(
      ({ kind }) => kind === 'ghost',
    );
    expect(ghosts).toMatchObject([{ action: 'delete', reason: expect.stringMatching(reason) }]);
  });

  it('that GitHub says is busy is shown and left alone', () => {
    expect(found([runner({ busy: true })], [])).toMatchObject([
      {
        kind: 'ghost',
        action: 'none',
        reason: expect.stringMatching(/no VM .* left alone: GitHub says that a job runs/),
      },
    ]);
  });

  it.each<[string, Said, Partial<GitHubRunner>]>([
    ['is silent', { view: { liveness: 'suspect' } }, { online: false }],
    [
      'has no stream, and said before that it has no runner',
      { view: { liveness: 'suspect', link: 'disconnected' }, runner: '' },
      {},
    ],
    ['was not heard since the controller started', { view: { heardAtMs: undefined }, runner: '' }, {}],
    ['is lost, and GitHub hears its runner', { view: { liveness: 'lost' } }, {}],
    ['has a registration under way', { context: { registrationOpen: true }, runner: '' }, { online: false }],
    [
      'waits for a registration',
      { record: { state: 'registering.awaitingCommand' }, runner: '' },
      { online: false },
    ],
    ['starts', { record: { state: 'booting' }, runner: '' }, { online: false }],
    ['has said nothing of a runner', { record: { state: 'draining.drained', runner: undefined } }, {}],
    ['is a legacy one that says it has none', { record: { bootId: '' }, runner: '' }, { name: LEGACY_NAME }],
    [
      'was last heard by an earlier controller in another boot',
      { record: { bootId: '22222222' }, view: { heardAtMs: undefined }, runner: '' },
      {},
    ],
  ])('is not the runner of a VM that %s', (_, said, github) => {
    expect(kinds([runner(github)], [word(said)]).filter((kind) => kind.startsWith('ghost'))).toEqual([]);
  });

  it('is never a runner of another name', () => {
    const names = ['linux-7', 'mig-k3x9', 'mig-k3x9-vm-1', 'mig-k3x9x-vm-1-11111111'];
    const others = [...names, OTHER_CONTROLLER.runnerName({ vmId: 'vm-1', bootId: BOOT })];
    expect(
      found(
        others.map((name) => runner({ name })),
        [],
      ),
    ).toEqual([]);
  });
});

describe('a VM that waits for jobs', () => {
  it('whose runner GitHub does not have replaces it', () => {
    expect(found([], [word()])).toMatchObject([
      {
        kind: 'missing',
        action: 'replace',
        reason: 'VM vm-1 says that it waits for jobs, and GitHub has no such runner',
      },
    ]);
  });

  it('whose runner GitHub does not hear replaces it', () => {
    expect(kinds([runner({ online: false })], [word()])).toEqual(['offline/replace']);
  });

  it.each<[string, Said, RegExp]>([
    ['is cordoned', { record: { cordon: { reason: '', by: 'operator', at: 0 } } }, /cordoned/],
    ['is about to be drained', { context: { draining: true } }, /drains/],
    ['has no stream', { view: { link: 'disconnected' } }, /no stream/],
    ['has a legacy MIGlet', { record: { bootId: '' } }, /legacy/],
  ])('and %s keeps its runner, and it is shown why', (_, said, reason) => {
    expect(found([], [word(said)])).toMatchObject([
      { kind: 'missing', action: 'none', reason: expect.stringMatching(reason) },
    ]);
  });

  it('whose runner GitHub does not hear, and says is busy, keeps it', () => {
    expect(kinds([runner({ online: false, busy: true })], [word()])).toEqual(['job_disagreement/tell']);
  });

  it('with a runner of a foreign name that is offline keeps it', () => {
    expect(kinds([runner({ name: 'by-hand', online: false })], [word({ runner: 'by-hand' })])).toEqual([
      'offline/none',
    ]);
  });

  it.each<[string, Said]>([
    ['was not heard for a while', { view: { liveness: 'suspect' } }],
    ['was not heard since the controller started', { view: { heardAtMs: undefined } }],
    ['sent no heartbeat yet', { record: { lastHeartbeatAt: undefined } }],
    ['has a job', { record: { state: 'ready.busy' } }],
    [
      'has a runner that updates itself',
      { record: { runner: { state: 'offline', configured: true, name: NAME, labels: [] } } },
    ],
    ['has a registration under way', { context: { registrationOpen: true } }],
    ['has ended', { record: { outcome: 'drained' } }],
  ])('no more, because it %s, keeps its runner', (_, said) => {
    expect(kinds([], [word(said)])).toEqual([]);
  });

  it('is left alone while the list of its scope is not known', () => {
    const elsewhere: Scope = { kind: 'repo', owner: 'acme', repo: 'app' };
    const rows = joinViews([{ scope: elsewhere, runners: [] }], [word()], ownership);
    expect(rows).toMatchObject([{ name: NAME, listed: false }]);
    expect(findings(rows, { ownership, jobEnd: () => undefined })).toEqual([]);
  });

  it('and writes its organization in another case is no other for that', () => {
    const vm = word({ context: { scope: { kind: 'org', org: 'ACME' } } });
    expect(kinds([], [vm])).toEqual(['missing/replace']);
    expect(kinds([runner()], [vm])).toEqual([]);
  });

  it('and whose runner is in another place than its pool is now keeps it', () => {
    const vm = word({ context: { scope: { kind: 'repo', owner: 'acme', repo: 'app' } } });
    expect(kinds([runner()], [vm])).toEqual([]);
  });
});

describe('a row', () => {
  it('is there for a runner of ours, for one that a VM says it has, and for no other', () => {
    const others = ['linux-1', 'linux-2'].map((name) => runner({ name }));
    const vms = [
      word({ record: { vmId: 'vm-2' }, runner: 'linux-1' }),
      word({ record: { vmId: 'vm-3', outcome: 'drained' }, runner: 'linux-3' }),
      word({ record: { vmId: 'vm-4' }, runner: 'linux-4' }),
    ];
    const rows = joinViews([{ scope: SCOPE, runners: [runner(), ...others] }], vms, ownership);
    expect(rows.map(({ name, vm, github }) => [name, vm?.vmId, github?.id])).toEqual([
      [NAME, undefined, 7],
      ['linux-1', 'vm-2', 7],
      ['linux-4', 'vm-4', undefined],
    ]);
  });
});

describe('a job that only one of them knows', () => {
  const busy = word({ record: { state: 'ready.busy', currentJob: JOB } });

  it.each<[string, GitHubRunner[], VmWord, number | undefined, RegExp]>([
    [
      'GitHub says that none runs',
      [runner()],
      busy,
      undefined,
      /GitHub says that no job runs, and VM vm-1 runs build/,
    ],
    ['GitHub has no such runner any more', [], busy, undefined, /GitHub has no such runner, and/],
    [
      'a webhook said that it has ended',
      [runner({ busy: true })],
      busy,
      JOB.startedAt + 1,
      /GitHub says that the job has ended/,
    ],
    [
      'the VM knows of none',
      [runner({ busy: true })],
      word(),
      undefined,
      /GitHub says that a job runs, and VM vm-1 that it waits/,
    ],
  ])('is told, and nothing is done: %s', (_, runners, vm, webhook, reason) => {
    expect(found(runners, [vm], () => webhook)).toMatchObject([
      { kind: 'job_disagreement', action: 'tell', reason: expect.stringMatching(reason) },
    ]);
  });

  it('is no finding when a webhook that says it has ended is of an idle VM', () => {
    expect(kinds([runner()], [word()], () => JOB.startedAt + 1)).toEqual([]);
  });
});

describe('whatever the three say', () => {
  const boots = ['', BOOT, '22222222-0000'];
  const vmIds = ['vm-1', 'vm-2', `${'v'.repeat(60)}`];
  const names = [
    ...vmIds.flatMap((vmId) => boots.map((bootId) => ownership.runnerName({ vmId, bootId }))),
    `${NAME}-2`,
    OTHER_CONTROLLER.runnerName({ vmId: 'vm-1', bootId: BOOT }),
    'by-hand',
  ];
  const states = [
    'booting',
    'registering.awaitingCommand',
    'registering.starting',
    'ready.idle',
    'ready.busy',
    'draining.finishingJob',
    'shutdown.done',
  ];
  const anyRunner = fc.record({
    id: fc.integer({ min: 1, max: 99 }),
    name: fc.constantFrom(...names),
    online: fc.boolean(),
    busy: fc.boolean(),
    labels: fc.constant([]),
  });
  const anyVm = (vmId: string) =>
    fc
      .record({
        bootId: fc.constantFrom(...boots),
        state: fc.constantFrom(...states),
        outcome: fc.constantFrom(undefined, undefined, 'drained'),
        runner: fc.constantFrom(undefined, '', ...names),
        job: fc.boolean(),
        liveness: fc.constantFrom(...LIVENESS),
        link: fc.constantFrom(...LINKS),
        heard: fc.boolean(),
        registrationOpen: fc.boolean(),
        draining: fc.boolean(),
      })
      .map(({ runner: name, job, heard, liveness, link, bootId, state, outcome, ...context }) =>
        word({
          record: {
            vmId,
            bootId,
            state,
            outcome,
            currentJob: job ? JOB : undefined,
            runner:
              name === undefined ? undefined : { state: 'idle', configured: name !== '', name, labels: [] },
          },
          view: { liveness, link, heardAtMs: heard ? 1 : undefined },
          context,
        }),
      );
  const anyWorld = fc.record({
    runners: fc.uniqueArray(anyRunner, { selector: ({ name }) => name, maxLength: 12 }),
    vms: fc.tuple(...vmIds.map(anyVm)).chain((vms) => fc.subarray([...vms])),
    webhook: fc.constantFrom(undefined, 0, 1e15),
  });
  const check = (isRight: (finding: Finding, vms: readonly VmWord[]) => boolean): void =>
    fc.assert(
      fc.property(anyWorld, ({ runners, vms, webhook }) =>
        found(runners, vms, () => webhook).every((finding) => isRight(finding, vms)),
      ),
      { numRuns: 3_000, seed: 20261121 },
    );
  const acts = ({ action }: Finding): boolean => action === 'delete' || action === 'replace';

  it('no runner is deleted that is not ours', () => {
    check(({ action, row }) => action !== 'delete' || ownership.isOurs(row.name));
  });

  it('no runner that GitHub says is busy is deleted or replaced', () => {
    check((finding) => !acts(finding) || finding.row.github?.busy !== true);
  });

  it('nothing is done about the runner of a boot that has a registration under way', () => {
    check((finding) => {
      const { vm, name } = finding.row;
      if (!acts(finding) || vm === undefined || vm.ended || !vm.registering) return true;
      return vm.runner !== name && !ownership.isOfBoot(vm, name);
    });
  });

  it('no VM that runs a job, by its own word, has its runner deleted or replaced, unless it is lost or gone', () => {
    check((finding) => {
      const { vm, name } = finding.row;
      if (!acts(finding) || vm?.job === undefined || vm.runner !== name) return true;
      return vm.ended || vm.liveness === 'lost';
    });
  });

  it('nothing is done about the runner that a VM has which is only silent', () => {
    check((finding) => {
      const { vm, name } = finding.row;
      if (!acts(finding) || vm === undefined || vm.ended || vm.liveness === 'lost') return true;
      return vm.runner !== name || (vm.liveness === 'alive' && vm.heard);
    });
  });

  it('each runner has at most one finding', () => {
    fc.assert(
      fc.property(anyWorld, ({ runners, vms }) => {
        const keys = found(runners, vms).map(({ row }) => row.key);
        expect(new Set(keys).size).toBe(keys.length);
      }),
      { numRuns: 500, seed: 20261121 },
    );
  });
});
