/** A reconciler with a fleet in memory and the stand-in GitHub, by one manual clock that stands still between two rounds. */
import { expect } from '@jest/globals';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import {
  SUCCESS,
  toJitRunner,
  type TestRunner,
} from '../../../../testkit/src/github/test-runner.contract.js';
import type { JobStatus, VmReport } from '@mig/common/domain/vm';
import { connectRequest, createParts, settled, type FakeLink } from '../../parts.contract.js';
import { vmReport } from '../../store/samples.contract.js';
import type { Scope } from '../client/github-client.js';
import { createOwnership } from '../runners/ownership.js';
import type { RunnersApi } from '../runners/runners-api.js';
import { createReconciler, type Reconciler } from './reconciler.js';
import { createTestRunnersApi, TEST_TOKEN, type TestRunnersApi } from './test-runners-api.contract.js';

const DAY_MS = 86_400_000;
export const INTERVAL_MS = 60_000;
export const GRACE_MS = 300_000;
/** Rounds from the first sighting to the one that acts. */
export const ROUNDS_TO_ACT = GRACE_MS / INTERVAL_MS + 1;
export const ACME: Scope = { kind: 'org', org: 'acme' };
export const ownership = createOwnership('mig', 'k3x9');

export const bootOf = (vmId: string, life = 1): string =>
  `${life}${life}${life}${life}${life}${life}${life}${life}-${vmId}`;
export const nameOf = (vmId: string, life = 1): string =>
  ownership.runnerName({ vmId, bootId: bootOf(vmId, life) });

export const JOB: JobStatus = {
  jobId: 'job-1',
  runId: '',
  name: 'build',
  repository: 'acme/app',
  branch: '',
  commit: '',
  status: 'running',
  startedAt: 0,
};

interface TestVm {
  link: FakeLink;
  bootId: string;
  report: Partial<VmReport>;
}

export interface TestRunnerAtGitHub {
  readonly id: number;
  /** What the runner service hears of it. */
  readonly runner: TestRunner;
  session: string;
}

export async function createTestFleet() {
  const parts = createParts();
  const { clock } = parts;
  const github: StandInGitHub = await createStandInGitHub({
    tokens: [TEST_TOKEN],
    clock,
    pollMs: 1,
    sessionTimeoutMs: 7 * DAY_MS,
    jobLostAfterMs: 7 * DAY_MS,
  });
  const api: TestRunnersApi = createTestRunnersApi(() => github);
  const vms = new Map<string, TestVm>();
  const events: { type: string; vmId: string; data: Readonly<Record<string, string>> }[] = [];
  const draining = new Set<string>();
  /** Stands in for single calls of the API. */
  const overrides: Partial<RunnersApi> = {};

  const create = (): Reconciler =>
    createReconciler(
      {
        runners: {
          list: (scope, callClass) => (overrides.list ?? api.list)(scope, callClass),
          findByName: (scope, name, callClass) =>
            (overrides.findByName ?? api.findByName)(scope, name, callClass),
          remove: (scope, id, callClass) => (overrides.remove ?? api.remove)(scope, id, callClass),
        } as RunnersApi,
        ownership,
        scopes: () => [ACME],
        scopeOf: () => ACME,
        fleet: parts.fleet,
        queue: parts.queue,
        events: {
          async enter(vm, type, data) {
            events.push({ type, vmId: vm.vmId, data });
          },
        },
        drainIdOf: (vmId) => (draining.has(vmId) ? 'drain-1' : undefined),
        jobEnds: () => () => undefined,
        clock,
        logger: parts.log.logger,
        random: () => 0.5,
      },
      { intervalMs: INTERVAL_MS, graceMs: GRACE_MS },
    );

  let reconciler = create();

  function beat(vmId: string): void {
    const vm = vms.get(vmId);
    if (vm === undefined) return;
    const { poolId, orgId } = connectRequest();
    parts.fleet.heartbeat({
      vmId,
      poolId,
      orgId,
      bootId: vm.bootId,
      at: clock.now(),
      intervalMs: 0,
      report: vmReport(vm.report),
    });
  }

  const fleet = {
    ...parts,
    github,
    api,
    events,
    draining,
    overrides,
    get reconciler() {
      return reconciler;
    },
    /** As after a restart of the controller: what was seen is forgotten. */
    restart() {
      reconciler = create();
    },
    /** A VM that is connected and waits for jobs with its runner. */
    vm(vmId: string, report: Partial<VmReport> = {}, life = 1): FakeLink {
      const bootId = bootOf(vmId, life);
      const link = parts.connect({ vmId, bootId });
      const name = nameOf(vmId, life);
      vms.set(vmId, {
        link,
        bootId,
        report: { runner: { state: 'idle', configured: true, name, labels: [] }, ...report },
      });
      beat(vmId);
      return link;
    },
    says(vmId: string, report: Partial<VmReport>): void {
      const vm = vms.get(vmId);
      if (vm === undefined) throw new Error(`no VM ${vmId}`);
      vm.report = { ...vm.report, ...report };
      beat(vmId);
    },
    saysNoRunner(vmId: string, state: string): void {
      fleet.says(vmId, { state, runner: { state: 'offline', configured: false, name: '', labels: [] } });
    },
    /** It is heard no more; its stream stays as it is, or ends. */
    silence(vmId: string, streamEnds = false): void {
      const vm = vms.get(vmId);
      vms.delete(vmId);
      if (streamEnds && vm !== undefined) parts.disconnect(vm.link);
    },
    /** A runner at GitHub that has not connected. */
    mint: (name: string) => api.mint(ACME, name),
    /** A runner of ours at GitHub that has not connected, of a VM that need not be there. */
    ghost: (vmId = 'gone-1', life = 1) => fleet.mint(nameOf(vmId, life)),
    /** A runner at GitHub that is online. */
    async runner(name: string): Promise<TestRunnerAtGitHub> {
      const { id, encodedJitConfig } = await api.mint(ACME, name);
      const runner = toJitRunner(github.url, encodedJitConfig);
      return { id, runner, session: await runner.openSession() };
    },
    /** Time passes, every VM that can says how it is, and there is a round; so many times. */
    async rounds(count: number): Promise<void> {
      for (let round = 0; round < count; round += 1) {
        clock.advance(INTERVAL_MS);
        for (const vmId of vms.keys()) beat(vmId);
        await reconciler.round();
        await settled();
      }
    },
    namesAtGitHub: (): string[] => github.runners().map(({ name }) => name),
    replacements: (vmId: string) =>
      parts.queue
        .list({ vmId })
        .filter(({ type, parameters }) => type === 'register_runner' && parameters['replace'] === true),
    open: (): string[] =>
      reconciler.status().open.map(({ finding }) => `${finding.kind} ${finding.row.name}`),
    deletions: (): number => github.requests().filter(({ route }) => route === 'delete-runner').length,
    async startJob(at: TestRunnerAtGitHub): Promise<number> {
      github.queueJob();
      const id = await at.runner.poll(at.session);
      if (typeof id !== 'number') throw new Error(`no job: ${JSON.stringify(id)}`);
      if ((await at.runner.job(id, 'acquire')) >= 300) throw new Error('the job was not acquired');
      return id;
    },
    async endJob(at: TestRunnerAtGitHub, jobId: number): Promise<void> {
      await at.runner.job(jobId, 'complete', SUCCESS);
    },
    async dispose(): Promise<void> {
      await reconciler.stop();
      await github.close();
    },
    /** `dispose`, after GitHub has had nothing to complain of, and no job was killed. */
    async disposeUnharmed(): Promise<void> {
      expect(github.violations()).toEqual([]);
      expect(github.jobsKilled()).toEqual([]);
      await fleet.dispose();
    },
  };
  return fleet;
}

export type TestFleet = Awaited<ReturnType<typeof createTestFleet>>;
