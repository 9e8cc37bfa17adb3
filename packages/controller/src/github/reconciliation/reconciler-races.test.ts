/**
 * Seeded histories in which anything may happen between two rounds: VMs that come, go, reboot and register anew, runners that GitHub
 * drops, lists and deletions that fail or whose answers are lost, a busy flag that lags.
 */
import { afterEach, describe, expect, it } from '@jest/globals';
import { seededRandom } from '@mig/testkit/github/seeded-random';
import {
  INTERVAL_MS,
  JOB,
  ROUNDS_TO_ACT,
  bootOf,
  createTestFleet,
  nameOf,
  ownership,
} from './test-fleet.contract.js';
import type { TestFleet, TestRunnerAtGitHub } from './test-fleet.contract.js';

const SEEDS = Array.from({ length: 8 }, (_, n) => 1_000 + n);
const ROUNDS = 40;
const VMS = Array.from({ length: 6 }, (_, n) => `vm-${n}`);
const FOREIGN = ['linux-1', 'mig-zzzz-vm-1-11111111'];

interface LivingVm {
  readonly vmId: string;
  life: number;
  attempt: number;
  /** Undefined: it has none. */
  at: TestRunnerAtGitHub | undefined;
  jobId: number | undefined;
  gone: boolean;
}

let test: TestFleet;
afterEach(() => test.dispose());

describe('reconciliation', () => {
  it.each(SEEDS)(
    'of a fleet in which anything happens ends with what the living VMs say, seed %i',
    async (seed) => {
      test = await createTestFleet();
      const random = seededRandom(seed);
      const chance = (share: number): boolean => random() < share;
      const vms: LivingVm[] = VMS.map((vmId) => ({
        vmId,
        life: 1,
        attempt: 1,
        at: undefined,
        jobId: undefined,
        gone: false,
      }));
      const claimed = (vm: LivingVm): string =>
        vm.at === undefined
          ? ''
          : ownership.runnerName({ vmId: vm.vmId, bootId: bootOf(vm.vmId, vm.life) }, vm.attempt);
      const living = () => vms.filter(({ gone }) => !gone);

      async function register(vm: LivingVm): Promise<void> {
        vm.attempt = (vm.attempt % 99) + 1;
        const name = ownership.runnerName({ vmId: vm.vmId, bootId: bootOf(vm.vmId, vm.life) }, vm.attempt);
        // As the registrar does: what is there of that name and has no job is deleted first.
        const before = await test.api.findByName({ kind: 'org', org: 'acme' }, name, 'registration');
        if (before !== undefined)
          await test.api.remove({ kind: 'org', org: 'acme' }, before.id, 'registration');
        vm.at = await test.runner(name);
        test.says(vm.vmId, {
          state: 'ready.idle',
          currentJob: undefined,
          runner: { state: 'idle', configured: true, name, labels: [] },
        });
      }

      async function live(vm: LivingVm): Promise<void> {
        const { at } = vm;
        const fate = random();
        if (at === undefined) {
          if (chance(0.7)) await register(vm);
        } else if (vm.jobId !== undefined) {
          if (!chance(0.4)) return;
          await test.endJob(at, vm.jobId);
          Object.assign(vm, { jobId: undefined, at: undefined });
          test.saysNoRunner(vm.vmId, 'registering.awaitingCommand');
          test.says(vm.vmId, { currentJob: undefined });
        } else if (chance(0.2) && test.namesAtGitHub().includes(claimed(vm))) {
          const id = await test.startJob(at).catch(() => undefined);
          if (id === undefined) return;
          vm.jobId = id;
          test.says(vm.vmId, { state: 'ready.busy', currentJob: { ...JOB, jobId: String(id) } });
        } else if (fate < 0.05) {
          // GitHub drops an idle runner, and nobody is told.
          await test.api.remove({ kind: 'org', org: 'acme' }, at.id, 'deletion');
        } else if (fate < 0.1) {
          await at.runner.closeSession(at.session);
          test.silence(vm.vmId, true);
          vm.gone = true;
        } else if (fate < 0.15) {
          // Another boot; the runner of the old one stays behind.
          await at.runner.closeSession(at.session);
          Object.assign(vm, { life: vm.life + 1, attempt: 1, at: undefined });
          test.vm(vm.vmId, {}, vm.life);
          test.saysNoRunner(vm.vmId, 'registering.awaitingCommand');
        }
      }

      /** What the MIGlet does with the command. */
      async function obey(vm: LivingVm): Promise<void> {
        for (const command of test.queue.open(vm.vmId)) {
          const success = vm.jobId === undefined;
          if (success && vm.at !== undefined) {
            test.saysNoRunner(vm.vmId, 'registering.configuring');
            await test.api.remove({ kind: 'org', org: 'acme' }, vm.at.id, 'deletion');
            await register(vm);
          }
          await test.queue.acknowledge(vm.vmId, {
            commandId: command.id,
            phase: 'completed',
            success,
            message: '',
            result: {},
          });
        }
      }

      let lagMs = 0;

      /** In the next round alone. */
      function misbehave(): void {
        const { faults } = test.github;
        if (chance(0.1)) faults.failNext('list-runners', { status: chance(0.5) ? 502 : 'no-answer' });
        if (chance(0.05)) faults.failNext('list-runners', { status: 404 });
        if (chance(0.2)) faults.failNext('delete-runner', { status: chance(0.5) ? 500 : 422 });
        if (chance(0.1)) faults.failNext('delete-runner', { status: 'no-answer', afterEffect: chance(0.5) });
        if (chance(0.1)) lagMs = chance(0.5) ? 0 : INTERVAL_MS * Math.ceil(random() * 3);
        faults.setBusyLagMs(lagMs);
      }

      /** Deletions of the reconciler. */
      const deleted: string[] = [];
      test.overrides.remove = async (scope, id, callClass) => {
        const name = test.github.runners().find((runner) => runner.id === id)?.name ?? '';
        deleted.push(name);
        expect(living().map(claimed)).not.toContain(name);
        expect(FOREIGN).not.toContain(name);
        return test.api.remove(scope, id, callClass);
      };

      for (const name of FOREIGN) await test.mint(name);
      for (const vm of vms) {
        test.vm(vm.vmId);
        test.saysNoRunner(vm.vmId, 'registering.awaitingCommand');
        await register(vm);
      }
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const vm of living()) await obey(vm);
        for (const vm of living()) await live(vm);
        if (chance(0.1)) await test.mint(nameOf(`gone-${round}`));
        misbehave();
        await test.rounds(1);
        test.github.faults.clear();
      }
      for (const vm of living()) {
        if (vm.at !== undefined && vm.jobId !== undefined) await test.endJob(vm.at, vm.jobId);
        if (vm.jobId !== undefined || vm.at === undefined) {
          vm.jobId = undefined;
          await register(vm);
        }
      }
      for (let round = 0; round < 4 * ROUNDS_TO_ACT; round += 1) {
        for (const vm of living()) await obey(vm);
        await test.rounds(1);
      }
      expect(test.namesAtGitHub().toSorted()).toEqual([...living().map(claimed), ...FOREIGN].toSorted());
      expect(test.open()).toEqual([]);
      expect(deleted.length).toBeGreaterThan(0);
      expect(test.github.jobsKilled()).toEqual([]);
      expect(test.github.violations()).toEqual([]);
    },
  );
});
