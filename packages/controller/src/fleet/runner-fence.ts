/**
 * Which runners may be given jobs at GitHub: a fenced one has none of its labels, so that no job asks for it.
 *
 * Two things fence a runner: its VM is cordoned, or GitHub refuses to delete it while its VM leaves service, because a job
 * runs on it (I5). What is to be is decided from the record each time, and brought about at GitHub until GitHub says yes:
 *
 *   cordoned                                                -> fenced
 *   not cordoned, was fenced, in `ready`, not being drained -> its labels are given back
 *   otherwise                                               -> left as it is: a VM that drains stays fenced, uncordoned or not
 *
 * The record names the runner before its labels are taken, and until they are given back: a controller that starts goes on
 * with both. For one VM one thing is done at a time, a deletion too; for all of them at most `PARALLEL`, out of consideration
 * for GitHub's rate limits, and none before the time that GitHub asks for.
 */
import { backoffDelayMs } from '@mig/common/backoff';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { retryable, type Outcome } from '@mig/common/outcome';
import type { DeregisterOutcome } from '@mig/common/domain/messages';
import { phaseOf } from '@mig/common/domain/vm-state';
import type { VmRecord } from '@mig/common/domain/vm';
import type { Change } from './feed.js';
import type { Fleet } from './fleet.js';

export interface RemovalAnswer {
  readonly outcome: DeregisterOutcome;
  readonly message: string;
}

/** Where the labels are: GitHub. */
export interface RunnerLabels {
  /** Takes the labels of the VM's runner, or gives it those that it was registered with. Doing it twice changes nothing. */
  setEligible(vm: VmRecord, runnerName: string, eligible: boolean): Promise<Outcome<'set' | 'noRunner'>>;
  /**
   * Deletes the VM's runner, unless a job runs on it: GitHub's answer is the arbiter (I5). One with a job is fenced, after
   * `beforeFence` has resolved. Never rejects.
   */
  remove(vm: VmRecord, runnerName: string, beforeFence: () => Promise<void>): Promise<RemovalAnswer>;
}

export interface RunnerFence {
  /** The VM leaves service: its runner is deleted, or fenced. Never rejects. */
  remove(vm: VmRecord, runnerName: string): Promise<RemovalAnswer>;
  /** The VM was cordoned, or is not any more. */
  look(vmId: string): void;
  /** Something happened in the fleet. */
  onChange(change: Change): void;
  /** Looks at all VMs for which something may be to do. Called every second. */
  sweep(): void;
  /** Begins nothing more. */
  stop(): void;
}

export interface RunnerFenceDeps {
  readonly fleet: Fleet;
  readonly labels: RunnerLabels;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  /** The drain by which the VM is out of service now. */
  readonly drainIdOf: (vmId: string) => string | undefined;
  /** False without a GitHub: there is nothing to fence. */
  readonly managesRunners: boolean;
}

const PARALLEL = 4;
const BACKOFF = { firstMs: 2_000, maxMs: 60_000 };
const MIN_BACKOFF_MS = 1_000;

export function createRunnerFence(deps: RunnerFenceDeps): RunnerFence {
  const { fleet, labels, clock, logger } = deps;
  /** VMs that are cordoned, or of which a runner is fenced. */
  const watched = new Set<string>();
  /** The runner of each cordoned VM that GitHub said it has fenced, to this controller. */
  const fenced = new Map<string, string>();
  /** VMs whose runner was registered anew while GitHub was being asked. */
  const anew = new Set<string>();
  /** VMs that asked to have their runner deleted, and whose record does not say yet that they leave `ready`. */
  const leaving = new Set<string>();
  const busy = new Map<string, Promise<unknown>>();
  const failures = new Map<string, { readonly count: number; readonly notBeforeMs: number }>();
  /** GitHub asked to be left alone until then. */
  let quietUntilMs = -Infinity;
  let active = 0;
  let stopped = false;
  for (const { record } of fleet.views()) watch(record);

  function watch({ vmId, cordon, fencedRunner }: VmRecord): void {
    if (cordon !== undefined || fencedRunner !== undefined) watched.add(vmId);
  }

  /** What is to be done now for this VM at GitHub. */
  function wanted(vmId: string): { readonly vm: VmRecord; readonly eligible: boolean } | undefined {
    const view = fleet.get(vmId);
    if (view === undefined) return undefined;
    const { record: vm } = view;
    const phase = phaseOf(vm.state);
    const name = vm.runner?.configured === true ? vm.runner.name : '';
    if (name === '' || vm.outcome !== undefined || phase === 'shutdown') return undefined;
    if (vm.cordon !== undefined) return fenced.get(vmId) === name ? undefined : { vm, eligible: false };
    const inService =
      phase === 'ready' &&
      view.heardAtMs !== undefined &&
      !leaving.has(vmId) &&
      deps.drainIdOf(vmId) === undefined;
    return vm.fencedRunner === name && inService ? { vm, eligible: true } : undefined;
  }

  function look(vmId: string): void {
    const vm = fleet.get(vmId)?.record;
    if (stopped || !deps.managesRunners || vm === undefined) return;
    watch(vm);
    if (vm.cordon === undefined) fenced.delete(vmId);
    if (isForgotten(vm)) forget(vmId);
    if (busy.has(vmId) || active >= PARALLEL || !isTime(vmId) || wanted(vmId) === undefined) return;
    active += 1;
    void inTurn(vmId, () => act(vmId).finally(() => (active -= 1)));
  }

  /** The runner whose labels were taken is gone: the VM has another. */
  const isForgotten = ({ cordon, fencedRunner, runner }: VmRecord): boolean =>
    cordon === undefined &&
    fencedRunner !== undefined &&
    runner?.configured === true &&
    runner.name !== fencedRunner;

  function forget(vmId: string): void {
    if (fleet.get(vmId)?.record.fencedRunner === undefined) return;
    // If it cannot be stored, the next controller finds the same.
    fleet.decide(vmId, { fencedRunner: undefined }).catch(() => undefined);
  }

  function isTime(vmId: string): boolean {
    const nowMs = clock.monotonicMs();
    return nowMs >= quietUntilMs && nowMs >= (failures.get(vmId)?.notBeforeMs ?? -Infinity);
  }

  function inTurn<T>(vmId: string, task: () => Promise<T>): Promise<T> {
    const done = (busy.get(vmId) ?? Promise.resolve()).then(task);
    const turn = done
      .catch(() => undefined)
      .finally(() => {
        if (busy.get(vmId) === turn) busy.delete(vmId);
        sweep(); // there is a place for the next
      });
    busy.set(vmId, turn);
    return done;
  }

  async function act(vmId: string): Promise<void> {
    const want = wanted(vmId);
    if (stopped || want === undefined) return;
    const outcome = await attempt(want.vm, want.eligible).catch((error: unknown) =>
      retryable(errorMessage(error)),
    );
    if (outcome.kind === 'ok') failures.delete(vmId);
    else putOff(want.vm, want.eligible, outcome);
  }

  async function attempt(vm: VmRecord, eligible: boolean): Promise<Outcome<unknown>> {
    const { vmId } = vm;
    const name = vm.runner?.name ?? '';
    if (!eligible && vm.fencedRunner !== name) await fleet.decide(vmId, { fencedRunner: name });
    anew.delete(vmId);
    const outcome = await labels.setEligible(vm, name, eligible);
    if (outcome.kind !== 'ok') return outcome;
    if (!eligible) {
      // One that registers just now is not there at once.
      if (outcome.value === 'noRunner') return retryable(`GitHub has no runner ${name}`);
      if (!anew.has(vmId)) fenced.set(vmId, name);
    } else if (wanted(vmId)?.eligible === true) {
      // It was not cordoned meanwhile, nor did it begin to leave.
      await fleet.decide(vmId, { fencedRunner: undefined });
    }
    logger.info(
      { vmId, runner: name, eligible },
      eligible ? 'a runner has its labels again' : 'a runner is fenced',
    );
    return outcome;
  }

  function putOff(vm: VmRecord, eligible: boolean, outcome: Exclude<Outcome<unknown>, { kind: 'ok' }>): void {
    const count = (failures.get(vm.vmId)?.count ?? 0) + 1;
    const askedMs = outcome.kind === 'retryable' ? (outcome.afterMs ?? 0) : 0;
    const delayMs = Math.max(MIN_BACKOFF_MS, askedMs, backoffDelayMs(BACKOFF, count - 1, deps.random));
    const nowMs = clock.monotonicMs();
    failures.set(vm.vmId, { count, notBeforeMs: nowMs + delayMs });
    if (askedMs > 0) quietUntilMs = nowMs + askedMs;
    logger.warn(
      { vmId: vm.vmId, runner: vm.runner?.name, reason: outcome.reason, againInMs: delayMs },
      eligible ? 'the labels of a runner could not be given back yet' : 'a runner could not be fenced yet',
    );
  }

  function sweep(): void {
    for (const vmId of watched) {
      if (active >= PARALLEL) return;
      const vm = fleet.get(vmId)?.record;
      if (vm?.cordon === undefined && vm?.fencedRunner === undefined) {
        watched.delete(vmId);
        anew.delete(vmId);
        failures.delete(vmId);
        fenced.delete(vmId);
      } else look(vmId);
    }
  }

  /** It has labels, whatever was done before. */
  function registeredAnew(vmId: string): void {
    if (busy.has(vmId)) anew.add(vmId);
    fenced.delete(vmId);
    leaving.delete(vmId);
    failures.delete(vmId);
  }

  return {
    remove(vm, runnerName) {
      if (phaseOf(fleet.get(vm.vmId)?.record.state ?? '') === 'ready') leaving.add(vm.vmId);
      return inTurn(vm.vmId, async () => {
        const answer = await labels.remove(vm, runnerName, async () => {
          watched.add(vm.vmId);
          // What cannot be written down now must not keep the VM from leaving.
          await fleet.decide(vm.vmId, { fencedRunner: runnerName }).catch(() => undefined);
        });
        if (answer.outcome === 'deleted') forget(vm.vmId);
        return answer;
      });
    },

    look(vmId) {
      failures.delete(vmId);
      look(vmId);
    },

    onChange(change) {
      switch (change.kind) {
        case 'vm':
          if (phaseOf(change.vm.state) !== 'ready') leaving.delete(change.vm.vmId);
          return;
        case 'event':
          if (change.event.type === 'runner_registered') registeredAnew(change.event.vmId);
          return;
        case 'command': {
          const { type, state, vmId } = change.command;
          if (type === 'register_runner' && state === 'completed') registeredAnew(vmId);
          return;
        }
        case 'link':
        case 'workflowJob':
      }
    },

    sweep,

    stop() {
      stopped = true;
    },
  };
}
