/**
 * The moves that records have made so far, and whether the next is one that their tables have (I6). Every store asks it
 * before it writes.
 */
import { IllegalTransitionError } from '@mig/common/errors';
import {
  COMMAND_TRANSITIONS,
  assertCommandTransition,
  type CommandState,
} from '@mig/common/domain/command-state';
import type { CommandRecord } from '@mig/common/domain/command';
import { assertDrainVmTransition, type DrainRecord } from '@mig/common/domain/drain';
import { assertVmTransition } from '@mig/common/domain/vm-state';
import { isSameLife, type VmRecord } from '@mig/common/domain/vm';
import {
  rankOf,
  workflowJobKey,
  type WorkflowJob,
  type WorkflowJobKey,
} from '@mig/common/domain/workflow-job';

export interface Moves {
  /** @throws IllegalTransitionError within one life of the VM; a new life begins anew */
  vm(record: VmRecord): void;
  /** @returns to be called if it could not be stored: a new record is forgotten again. @throws IllegalTransitionError */
  command(record: CommandRecord): () => void;
  /**
   * @returns to be called if it could not be stored: a new record is forgotten again
   * @throws IllegalTransitionError of the drain, which once ended stays so, or of a VM in it
   */
  drain(record: DrainRecord): () => void;
  /**
   * @returns to be called if it could not be stored: the job is what it was before
   * @throws IllegalTransitionError if it would go back
   */
  workflowJob(job: WorkflowJob): () => void;
  /** With its commands. @returns takes it back, if it has made no move since */
  forgetVm(vmId: string): () => void;
  forgetCommand(vmId: string, commandId: string): void;
  forgetDrain(drainId: string): void;
  forgetWorkflowJob(job: WorkflowJobKey): void;
}

export function createMoves(before: {
  readonly vms: Iterable<VmRecord>;
  readonly commands: Iterable<CommandRecord>;
  readonly drains: Iterable<DrainRecord>;
  readonly workflowJobs: Iterable<WorkflowJob>;
}): Moves {
  const vms = new Map<string, VmRecord>();
  const commands = new Map<string, Map<string, CommandState>>();
  const drains = new Map<string, DrainRecord>();
  const workflowJobs = new Map<string, WorkflowJob>();
  for (const record of before.vms) vms.set(record.vmId, record);
  for (const record of before.commands) commandsOf(record.vmId).set(record.id, record.state);
  for (const record of before.drains) drains.set(record.id, record);
  for (const job of before.workflowJobs) workflowJobs.set(workflowJobKey(job), job);

  function commandsOf(vmId: string): Map<string, CommandState> {
    const known = commands.get(vmId) ?? new Map<string, CommandState>();
    commands.set(vmId, known);
    return known;
  }

  return {
    vm(record) {
      const known = vms.get(record.vmId);
      if (known !== undefined && isSameLife(known, record)) {
        assertVmTransition(record.vmId, known.state, record.state);
      }
      vms.set(record.vmId, record);
    },

    command(record) {
      const states = commandsOf(record.vmId);
      const known = states.get(record.id);
      if (known !== undefined && !wasSentBetween(known, record))
        assertCommandTransition(record.id, known, record.state);
      states.set(record.id, record.state);
      return () => {
        if (known === undefined && states.get(record.id) === record.state) states.delete(record.id);
      };
    },

    drain(record) {
      const known = drains.get(record.id);
      if (known !== undefined) assertDrainMoves(known, record);
      drains.set(record.id, record);
      return () => {
        if (known === undefined && drains.get(record.id) === record) drains.delete(record.id);
      };
    },

    workflowJob(job) {
      const key = workflowJobKey(job);
      const known = workflowJobs.get(key);
      if (known !== undefined && rankOf(job.status) < rankOf(known.status))
        throw new IllegalTransitionError(`workflow job ${key}`, known.status, job.status);
      workflowJobs.set(key, job);
      return () => {
        if (workflowJobs.get(key) !== job) return;
        if (known === undefined) workflowJobs.delete(key);
        else workflowJobs.set(key, known);
      };
    },

    forgetVm(vmId) {
      const record = vms.get(vmId);
      const states = commands.get(vmId);
      vms.delete(vmId);
      commands.delete(vmId);
      return () => {
        if (record !== undefined && !vms.has(vmId)) vms.set(vmId, record);
        if (states !== undefined && !commands.has(vmId)) commands.set(vmId, states);
      };
    },
    forgetCommand: (vmId, commandId) => void commands.get(vmId)?.delete(commandId),
    forgetDrain: (drainId) => void drains.delete(drainId),
    forgetWorkflowJob: (job) => void workflowJobs.delete(workflowJobKey(job)),
  };
}

/** That it was sent is not stored by itself, where it was stored before that it would be. */
const wasSentBetween = (known: CommandState, { attempts, state }: CommandRecord): boolean =>
  known === 'queued' && attempts > 0 && COMMAND_TRANSITIONS.sent.includes(state);

function assertDrainMoves(from: DrainRecord, to: DrainRecord): void {
  if (from.state !== 'active' && from.state !== to.state) {
    throw new IllegalTransitionError(`drain ${to.id}`, from.state, to.state);
  }
  const before = new Map(from.vms.map((vm) => [vm.vmId, vm]));
  for (const vm of to.vms) {
    const known = before.get(vm.vmId);
    if (known === undefined || known === vm) continue;
    assertDrainVmTransition(to.id, vm.vmId, known.state, vm.state);
  }
}
