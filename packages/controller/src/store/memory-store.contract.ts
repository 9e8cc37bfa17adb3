/**
 * A store in memory whose saves can be held back or made to fail: for the tests of what stands before a store. For records
 * it keeps the contract of stores.
 */
import type { CommandRecord } from '@mig/common/domain/command';
import type { DrainRecord } from '@mig/common/domain/drain';
import type { StoredEvent } from '@mig/common/domain/event';
import { assertId } from '@mig/common/domain/ids';
import type { VmRecord, VmReport } from '@mig/common/domain/vm';
import { workflowJobKey, type WorkflowJob } from '@mig/common/domain/workflow-job';
import { createMoves } from './moves.js';
import { StoreUnavailableError, type EventPosition, type Store } from './store.js';

export interface MemoryStore extends Store {
  /** What is durable. */
  readonly vms: Map<string, VmRecord>;
  readonly commands: Map<string, CommandRecord>;
  readonly drains: Map<string, DrainRecord>;
  /** By id and attempt. */
  readonly workflowJobs: Map<string, WorkflowJob>;
  readonly documents: Map<string, unknown>;
  readonly storedEvents: StoredEvent[];
  readonly keptReports: { vmId: string; report: VmReport }[];
  /** Every VM record that became durable, in order. */
  readonly vmSaves: VmRecord[];
  /** From now on saves wait, until the returned function is called. */
  hold(): () => void;
  /** The next `count` writes are refused. */
  failNext(count: number): void;
}

/** With what an earlier store of the same kind held, as after a restart. */
export function createMemoryStore(before?: {
  vms?: VmRecord[];
  commands?: CommandRecord[];
  drains?: DrainRecord[];
  workflowJobs?: WorkflowJob[];
  documents?: Map<string, unknown>;
  events?: StoredEvent[];
}): MemoryStore {
  const vms = new Map(before?.vms?.map((vm) => [vm.vmId, vm]));
  const commands = new Map(before?.commands?.map((command) => [command.id, command]));
  const drains = new Map(before?.drains?.map((drain) => [drain.id, drain]));
  const workflowJobs = new Map(before?.workflowJobs?.map((job) => [workflowJobKey(job), job]));
  const documents = new Map(before?.documents);
  const loadedDrains = [...drains.values()];
  const loadedWorkflowJobs = [...workflowJobs.values()];
  const loadedVms = [...vms.values()];
  const loadedCommands = [...commands.values()];
  const storedEvents: StoredEvent[] = [];
  const moves = createMoves({
    vms: loadedVms,
    commands: loadedCommands,
    drains: loadedDrains,
    workflowJobs: loadedWorkflowJobs,
  });
  const keptReports: { vmId: string; report: VmReport }[] = [];
  const vmSaves: VmRecord[] = [];
  const positions = new Map<string, EventPosition>();
  let gate: Promise<void> = Promise.resolve();
  let failures = 0;

  async function write(what: string, effect: () => void): Promise<void> {
    const fails = failures > 0;
    if (fails) failures -= 1;
    await gate;
    if (fails) throw new StoreUnavailableError(what, new Error('disk full'));
    effect();
  }

  function keep(stored: StoredEvent): void {
    storedEvents.push(stored);
    const last = positions.get(stored.vmId) ?? { bootId: '', sequence: 0 };
    const { bootId, sequence } = stored.sequence > 0 ? stored : last;
    positions.set(stored.vmId, { lastEventId: stored.id, bootId, sequence });
  }
  for (const event of before?.events ?? []) keep(event);
  let lastId = storedEvents.length;

  return {
    vms,
    commands,
    drains,
    workflowJobs,
    documents,
    storedEvents,
    keptReports,
    vmSaves,
    hold() {
      let release = () => {};
      gate = new Promise((resolve) => (release = resolve));
      return release;
    },
    failNext(count) {
      failures = count;
    },
    problem: () => undefined,
    loadedVms: () => loadedVms,
    loadedCommands: () => loadedCommands,
    loadedDrains: () => loadedDrains,
    loadedWorkflowJobs: () => loadedWorkflowJobs,
    setAside: () => [],
    async saveDrain(record) {
      moves.drain(record);
      await write(`drain ${record.id}`, () => drains.set(record.id, record));
    },
    async deleteDrain(drainId) {
      moves.forgetDrain(drainId);
      drains.delete(drainId);
    },
    async saveWorkflowJob(job) {
      const takeBack = moves.workflowJob(job);
      const key = workflowJobKey(job);
      try {
        await write(`workflow job ${key}`, () => workflowJobs.set(key, job));
      } catch (error) {
        takeBack();
        throw error;
      }
    },
    async deleteWorkflowJob(job) {
      moves.forgetWorkflowJob(job);
      workflowJobs.delete(workflowJobKey(job));
    },
    document: (name) => documents.get(name),
    async saveDocument(name, value) {
      assertId('the name of a document', name);
      const kept: unknown = JSON.parse(JSON.stringify(value));
      await write(`document ${name}`, () => documents.set(name, kept));
    },
    async saveVm(record) {
      moves.vm(record);
      await write(`the record of VM ${record.vmId}`, () => {
        vms.set(record.vmId, record);
        vmSaves.push(record);
      });
    },
    async deleteVm(vmId) {
      moves.forgetVm(vmId);
      vms.delete(vmId);
      positions.delete(vmId);
      for (const command of commands.values()) if (command.vmId === vmId) commands.delete(command.id);
      const others = storedEvents.filter((event) => event.vmId !== vmId);
      storedEvents.splice(0, storedEvents.length, ...others);
    },
    async saveCommand(record) {
      moves.command(record);
      await write(`command ${record.id}`, () => commands.set(record.id, record));
    },
    async deleteCommand({ vmId, id }) {
      moves.forgetCommand(vmId, id);
      commands.delete(id);
    },
    async appendEvent(event, via) {
      lastId += 1;
      const stored = { ...event, id: String(lastId).padStart(6, '0'), receivedAt: event.at, via };
      await write(`an event of VM ${event.vmId}`, () => keep(stored));
      return stored;
    },
    events: async (vmId) => storedEvents.filter((event) => event.vmId === vmId),
    eventPosition: (vmId) => positions.get(vmId) ?? { lastEventId: undefined, bootId: '', sequence: 0 },
    keepHeartbeat: (vm, report) => void keptReports.push({ vmId: vm.vmId, report: structuredClone(report) }),
    heartbeats: async () => [],
    close: async () => undefined,
  };
}
