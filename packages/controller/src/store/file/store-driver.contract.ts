/** Random use of a store: what a controller asks of it, many things at once, noted in a ledger. */
import fc from 'fast-check';
import type { ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { commandRecord, drainRecord, vmEvent, vmRecord, vmReport, workflowJob } from '../samples.contract.js';
import type { Store } from '../store.js';
import type { CommandRecord } from '@mig/common/domain/command';
import { commandKey, DOCUMENT, type Ledger } from './store-ledger.contract.js';

const VMS = ['vm-1', 'vm-2', 'vm-3'];
const COMMANDS = ['cmd-1', 'cmd-2', 'cmd-3'];
const DRAINS = ['drain-1', 'drain-2'];
const JOBS = ['1', '2'];

export type Action =
  | { readonly kind: 'saveVm' | 'deleteVm' | 'appendEvent' | 'keepHeartbeat'; readonly vmId: string }
  | { readonly kind: 'saveCommand' | 'deleteCommand'; readonly vmId: string; readonly commandId: string }
  | { readonly kind: 'saveDrain' | 'deleteDrain'; readonly drainId: string }
  | { readonly kind: 'saveWorkflowJob' | 'deleteWorkflowJob'; readonly jobId: string }
  | { readonly kind: 'saveDocument' }
  /** Time passes: timers fire. */
  | { readonly kind: 'time'; readonly durationMs: number }
  /** The disk does some of what waits. */
  | { readonly kind: 'turns'; readonly count: number }
  /** Every caller waits for its answer. */
  | { readonly kind: 'settle' };

const vmId = fc.constantFrom(...VMS);
const commandId = fc.constantFrom(...COMMANDS);

export const actionArbitrary: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('saveVm' as const), vmId }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('saveCommand' as const), vmId, commandId }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('appendEvent' as const), vmId }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('saveDrain' as const), drainId: fc.constantFrom(...DRAINS) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('saveWorkflowJob' as const), jobId: fc.constantFrom(...JOBS) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('deleteWorkflowJob' as const),
      jobId: fc.constantFrom(...JOBS),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'saveDocument' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('keepHeartbeat' as const), vmId }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deleteVm' as const), vmId }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('deleteCommand' as const), vmId, commandId }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('deleteDrain' as const), drainId: fc.constantFrom(...DRAINS) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      durationMs: fc.constantFrom(1_000, 2_000, 60_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('turns' as const), count: fc.integer({ min: 1, max: 12 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
);

/** Gives the disk `count` turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await new Promise((resolve) => setImmediate(resolve));
}

export interface Driver {
  /** Ends when all is answered, or as soon as the process is killed. */
  run(actions: readonly Action[]): Promise<void>;
}

export function createDriver(
  store: Store,
  ledger: Ledger,
  clock: ManualClock,
  isKilled: () => boolean,
): Driver {
  /** As the event log does: the events of one VM go one after the other. */
  const eventTails = new Map<string, Promise<unknown>>();

  async function appendEvent(vm: string): Promise<void> {
    const sequence = ledger.nextSequence(vm);
    const marker = ledger.nextMarker();
    const appended = store.appendEvent(vmEvent({ vmId: vm, sequence, data: { marker } }), 'grpc');
    ledger.event(vm, { sequence, marker }, appended);
    await appended.catch(() => undefined);
  }

  function act(action: Exclude<Action, { kind: 'turns' | 'settle' }>): void {
    switch (action.kind) {
      case 'saveVm': {
        const record = vmRecord({ vmId: action.vmId, stateReason: ledger.nextMarker() });
        ledger.record(`vm ${action.vmId}`, record, store.saveVm(record));
        return;
      }
      case 'deleteVm': {
        const removed = store.deleteVm(action.vmId);
        ledger.record(`vm ${action.vmId}`, undefined, removed);
        for (const id of COMMANDS) ledger.record(commandKey(action.vmId, id), undefined, removed);
        ledger.removedEvents(action.vmId, removed);
        return;
      }
      case 'saveCommand': {
        const key = commandKey(action.vmId, action.commandId);
        const before = ledger.newest(key) as CommandRecord | undefined;
        const record = commandRecord({
          id: action.commandId,
          vmId: action.vmId,
          state: before?.state === 'queued' ? 'sent' : 'queued',
          message: ledger.nextMarker(),
        });
        ledger.record(key, record, store.saveCommand(record));
        return;
      }
      case 'deleteCommand': {
        const record = commandRecord({ id: action.commandId, vmId: action.vmId });
        ledger.record(commandKey(action.vmId, action.commandId), undefined, store.deleteCommand(record));
        return;
      }
      case 'saveDrain': {
        const record = drainRecord({ id: action.drainId, reason: ledger.nextMarker() });
        ledger.record(`drain ${action.drainId}`, record, store.saveDrain(record));
        return;
      }
      case 'deleteDrain':
        ledger.record(`drain ${action.drainId}`, undefined, store.deleteDrain(action.drainId));
        return;
      case 'saveWorkflowJob': {
        const key = `workflow job ${action.jobId}`;
        const job = workflowJob({ id: action.jobId, name: ledger.nextMarker() });
        ledger.record(key, job, store.saveWorkflowJob(job));
        return;
      }
      case 'deleteWorkflowJob': {
        const removed = store.deleteWorkflowJob({ id: action.jobId, runAttempt: 1 });
        ledger.record(`workflow job ${action.jobId}`, undefined, removed);
        return;
      }
      case 'saveDocument': {
        const value = { marker: ledger.nextMarker() };
        ledger.record(DOCUMENT, value, store.saveDocument(DOCUMENT, value));
        return;
      }
      case 'appendEvent': {
        const tail = eventTails.get(action.vmId) ?? Promise.resolve();
        eventTails.set(
          action.vmId,
          tail.then(() => appendEvent(action.vmId)),
        );
        return;
      }
      case 'keepHeartbeat':
        store.keepHeartbeat(vmRecord({ vmId: action.vmId }), vmReport());
        return;
      case 'time':
        clock.advance(action.durationMs);
    }
  }

  return {
    async run(actions) {
      for (const action of actions) {
        if (isKilled()) return;
        if (action.kind === 'turns') await turns(action.count);
        else if (action.kind === 'settle') {
          await Promise.all(eventTails.values());
          await ledger.settled();
        } else act(action);
      }
      await Promise.all(eventTails.values());
      await ledger.settled();
    },
  };
}
