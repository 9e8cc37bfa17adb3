/** What every store promises of its records: VMs, commands and drains. */
import { describe, expect, it } from '@jest/globals';
import { IllegalTransitionError } from '@mig/common/errors';
import type { DrainVmState } from '@mig/common/domain/drain';
import { TEST_START } from '../../../common/src/manual-clock.contract.js';
import {
  commandRecord,
  drainRecord,
  drainVm,
  vmEvent,
  vmRecord,
  vmReport,
  workflowJob,
} from './samples.contract.js';
import type { StoreUnderTest } from './store.contract.js';

const ALL = { limit: 10_000 };

export function recordContract(test: StoreUnderTest): void {
  describe('records', () => {
    it('a VM and a command that were saved are there after a reopening, whole (I1)', async () => {
      const vm = vmRecord({
        health: vmReport().health,
        runner: vmReport().runner,
        labels: ['a'],
        outcome: undefined,
        lastHeartbeatAt: TEST_START + 5,
        cordon: { reason: 'looks ill', by: 'operator', at: TEST_START + 6 },
        platform: { os: 'linux', architecture: 'arm64' },
      });
      const command = commandRecord({
        idempotencyKey: 'k',
        forBoot: 'boot-1',
        sentToBoot: 'boot-1',
        supersededBy: 'cmd-2',
        attempts: 2,
        message: 'waits',
        result: { code: 'x' },
      });
      await test.store.saveVm(vm);
      await test.store.saveCommand(command);
      await test.reopen();
      expect(test.store.loadedVms()).toEqual([vm]);
      expect(test.store.loadedCommands()).toEqual([command]);
    });

    it('a drain that was saved is there after a reopening, whole, and gone when it was deleted (I1)', async () => {
      const drain = drainRecord({
        selector: { labels: ['gpu', 'large'] },
        maxUnavailable: 10,
        then: 'shutdown',
        idempotencyKey: 'k',
        vms: [
          drainVm({
            state: 'shuttingDown',
            commandId: 'cmd-1',
            shutdownCommandId: 'cmd-2',
            startedAt: TEST_START + 1,
          }),
          drainVm({ vmId: 'vm-2', bootId: '', state: 'gone', finishedAt: TEST_START + 2, message: 'left' }),
        ],
      });
      const ended = drainRecord({
        id: 'drain-2',
        selector: { all: true },
        state: 'completed',
        finishedAt: TEST_START,
        vms: [],
      });
      await test.store.saveDrain(drain);
      await test.store.saveDrain(ended);
      await test.store.saveDrain(drainRecord({ id: 'drain-3' }));
      await test.store.deleteDrain('drain-3');
      await test.store.deleteDrain('never');
      await test.reopen();
      expect([...test.store.loadedDrains()].sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual([drain, ended]);
      expect(test.store.loadedVms()).toEqual([]);
    });

    it('a workflow job that was saved is there after a reopening, whole, each attempt for itself, and gone when it was deleted', async () => {
      const job = workflowJob({
        status: 'completed',
        conclusion: 'success',
        runnerId: 5,
        runnerName: 'mig-k3x9f2-vm-1-0f3c9a1e',
        runnerGroupName: 'Default',
        startedAt: TEST_START + 1_000,
        completedAt: TEST_START + 2_000,
        deliveries: ['guid-1', 'guid-2'],
        said: { name: 'queued', runnerName: 'in_progress' },
      });
      const bare = workflowJob({
        id: '8',
        workflowName: undefined,
        headBranch: undefined,
        createdAt: undefined,
      });
      await test.store.saveWorkflowJob(job);
      await test.store.saveWorkflowJob(workflowJob({ runAttempt: 2 }));
      await test.store.saveWorkflowJob(bare);
      await test.store.deleteWorkflowJob({ id: job.id, runAttempt: 2 });
      await test.store.deleteWorkflowJob({ id: '9', runAttempt: 1 });
      await test.reopen();
      const loaded = [...test.store.loadedWorkflowJobs()].sort((a, b) => a.id.length - b.id.length);
      expect(loaded).toEqual([bare, job]);
      expect(test.store.loadedVms()).toEqual([]);
    });

    it('a document is what was saved last under its name, also after a reopening; others are not touched', async () => {
      expect(test.store.document('cursor')).toBeUndefined();
      await test.store.saveDocument('cursor', { at: 1, guids: ['a'] });
      await Promise.all([
        test.store.saveDocument('cursor', { at: 2 }),
        test.store.saveDocument('cursor', { at: 3 }),
        test.store.saveDocument('other', 'text'),
      ]);
      expect(test.store.document('cursor')).toEqual({ at: 3 });
      await test.reopen();
      expect(test.store.document('cursor')).toEqual({ at: 3 });
      expect(test.store.document('other')).toBe('text');
      await expect(test.store.saveDocument('../etc', 1)).rejects.toThrow('the name of a document');
      expect(test.store.setAside()).toEqual([]);
    });

    it('of saves that overlap, the last one wins, for a VM that the store has not met before too', async () => {
      const states = ['queued', 'sent', 'received', 'completed'] as const;
      const names = Array.from({ length: 20 }, (_, index) => `vm-${index}`);
      await Promise.all(
        names.flatMap((vmId) => [
          ...states.map((state) => test.store.saveCommand(commandRecord({ id: `cmd-${vmId}`, vmId, state }))),
          ...states.map((_, index) => test.store.saveVm(vmRecord({ vmId, stateReason: `${index}` }))),
        ]),
      );
      await test.reopen();
      expect(new Set(test.store.loadedCommands().map((command) => command.state))).toEqual(
        new Set(['completed']),
      );
      expect(new Set(test.store.loadedVms().map((vm) => vm.stateReason))).toEqual(new Set(['3']));
      expect(test.store.loadedCommands()).toHaveLength(20);
    });

    it('a command is there after a reopening, though the record of its VM never was stored (I1)', async () => {
      await test.store.saveCommand(commandRecord());
      await test.reopen();
      expect(test.store.loadedCommands()).toEqual([commandRecord()]);
    });

    it('a deleted command is gone, and deleting what is not there is no error', async () => {
      await test.store.saveVm(vmRecord());
      await test.store.saveCommand(commandRecord());
      await test.store.deleteCommand(commandRecord());
      await test.store.deleteCommand(commandRecord({ id: 'cmd-2' }));
      await test.reopen();
      expect(test.store.loadedCommands()).toEqual([]);
      expect(test.store.setAside()).toEqual([]);
      expect(test.store.problem()).toBeUndefined();
    });

    it('a deleted VM is gone with its commands and histories, and no other VM with it', async () => {
      for (const vmId of ['vm-1', 'vm-2']) {
        await test.store.saveVm(vmRecord({ vmId }));
        await test.store.saveCommand(commandRecord({ id: `cmd-${vmId}`, vmId }));
        await test.store.appendEvent(vmEvent({ vmId, sequence: 4 }), 'grpc');
      }
      test.store.keepHeartbeat(vmRecord(), vmReport());
      await test.store.deleteVm('vm-1');
      expect(await test.store.events('vm-1', ALL)).toEqual([]);
      expect(test.store.eventPosition('vm-1')).toEqual({ lastEventId: undefined, bootId: '', sequence: 0 });
      await test.reopen();
      expect(test.store.loadedVms().map((vm) => vm.vmId)).toEqual(['vm-2']);
      expect(test.store.loadedCommands().map((command) => command.vmId)).toEqual(['vm-2']);
      expect(await test.store.heartbeats('vm-1', 10)).toEqual([]);
      expect(await test.store.events('vm-2', ALL)).toHaveLength(1);
    });
  });

  describe('moves that the tables do not have (I6)', () => {
    it('a VM that ended does not come back in the same life, and stays as it was', async () => {
      const ended = vmRecord({ state: 'shutdown.done', outcome: 'drained' });
      await test.store.saveVm(ended);
      const back = test.store.saveVm({ ...ended, state: 'ready.idle' });
      await expect(back).rejects.toThrow(IllegalTransitionError);
      await test.reopen();
      expect(test.store.loadedVms()).toEqual([ended]);
      await expect(test.store.saveVm({ ...ended, state: 'ready.idle' })).rejects.toThrow(
        'VM vm-1 cannot go from shutdown.done to ready.idle',
      );
    });

    it('it comes back in a new life: another boot, or a legacy one without its outcome', async () => {
      await test.store.saveVm(vmRecord({ state: 'shutdown.done', outcome: 'drained' }));
      await test.store.saveVm(vmRecord({ state: 'booting', bootId: 'boot-2' }));
      await test.store.saveVm(vmRecord({ vmId: 'vm-2', bootId: '', state: 'shutdown', outcome: 'ended' }));
      await test.store.saveVm(vmRecord({ vmId: 'vm-2', bootId: '', state: 'ready.idle' }));
      await test.reopen();
      expect(
        test.store
          .loadedVms()
          .map((vm) => vm.state)
          .sort(),
      ).toEqual(['booting', 'ready.idle']);
    });

    it('a VM in a drain moves along its table, also after a reopening, each for itself', async () => {
      await test.store.saveDrain(drainRecord());
      const drain = (...states: DrainVmState[]) =>
        drainRecord({ vms: states.map((state, index) => drainVm({ vmId: `vm-${index + 1}`, state })) });
      await test.store.saveDrain(drain('draining', 'waiting'));
      await test.store.saveDrain(drain('draining', 'done'));
      await expect(test.store.saveDrain(drain('waiting', 'done'))).rejects.toThrow(IllegalTransitionError);
      await test.reopen();
      await expect(test.store.saveDrain(drain('shuttingDown', 'draining'))).rejects.toThrow(
        'VM vm-2 of drain drain-1 cannot go from done to draining',
      );
      await test.store.saveDrain(drain('shuttingDown', 'done'));
      await test.reopen();
      expect(test.store.loadedDrains()).toEqual([drain('shuttingDown', 'done')]);
    });

    it.each(['completed', 'cancelled'] as const)(
      'a drain that is %s stays so, also after a reopening; deleted, its id is free',
      async (state) => {
        await test.store.saveDrain(drainRecord());
        await test.store.saveDrain(drainRecord({ state, finishedAt: TEST_START }));
        await expect(test.store.saveDrain(drainRecord())).rejects.toThrow(IllegalTransitionError);
        await test.reopen();
        await expect(test.store.saveDrain(drainRecord())).rejects.toThrow(
          `drain drain-1 cannot go from ${state} to active`,
        );
        expect(test.store.loadedDrains().map((drain) => drain.state)).toEqual([state]);
        await test.store.deleteDrain('drain-1');
        await test.store.saveDrain(drainRecord());
      },
    );

    it('a workflow job does not go back, also after a reopening; deleted, it is free', async () => {
      await test.store.saveWorkflowJob(workflowJob({ status: 'in_progress' }));
      await test.store.saveWorkflowJob(workflowJob({ status: 'completed' }));
      await test.reopen();
      await expect(test.store.saveWorkflowJob(workflowJob({ status: 'in_progress' }))).rejects.toThrow(
        'workflow job 2832853555-1 cannot go from completed to in_progress',
      );
      expect(test.store.loadedWorkflowJobs().map((job) => job.status)).toEqual(['completed']);
      await test.store.deleteWorkflowJob(workflowJob());
      await test.store.saveWorkflowJob(workflowJob({ status: 'queued' }));
    });

    it('a finished command stays finished, also after a reopening', async () => {
      await test.store.saveVm(vmRecord());
      await test.store.saveCommand(commandRecord({ state: 'cancelled' }));
      const again = commandRecord({ state: 'sent' });
      await expect(test.store.saveCommand(again)).rejects.toThrow(IllegalTransitionError);
      await test.reopen();
      await expect(test.store.saveCommand(again)).rejects.toThrow(
        'command cmd-1 cannot go from cancelled to sent',
      );
      expect(test.store.loadedCommands().map((command) => command.state)).toEqual(['cancelled']);
    });

    it('a command that went out need not have been stored as sent; one that came back to the queue moves as one that waits', async () => {
      await test.store.saveCommand(commandRecord({ state: 'queued' }));
      await expect(test.store.saveCommand(commandRecord({ state: 'received' }))).rejects.toThrow(
        IllegalTransitionError,
      );
      await test.store.saveCommand(commandRecord({ state: 'received', attempts: 1 }));
      await test.store.saveCommand(commandRecord({ id: 'cmd-2', state: 'queued', attempts: 1 }));
      await test.store.saveCommand(commandRecord({ id: 'cmd-2', state: 'superseded', attempts: 1 }));
    });
  });
}
