/** Does what the plan of `races` says. Nothing is waited for but by whoever calls; what is under way ends with `settle`. */
import { setTimeout as pause } from 'node:timers/promises';
import { errorMessage } from '@mig/common/errors';
import { POOL, type Ground } from '../reliability/ground.js';
import { ApiRefusalError } from '../system/operator-api.js';
import type { ProofControl } from './control.js';
import type { ProofFleet } from './proof-fleet.js';
import type { Deed, Order } from './races-plan.js';
import { vmOfRunner } from '../system/runner-name.js';

export interface RaceDeeds {
  begin(deed: Deed): void;
  /** Ends all faults at once. */
  repair(): void;
  /** Resolves when nothing is under way any more. */
  settle(): Promise<void>;
  /** How often each was done; of the races, how often both were where they should meet. */
  readonly counts: ReadonlyMap<string, number>;
  /** What should not have been refused, in words. */
  readonly complaints: readonly string[];
}

type Race = Extract<Deed, { kind: 'jobBeforeDelete' | 'endBeforeDelete' }>;

/** A deletion is held back for this long, at most, until what it races with has happened. */
const HOLD_MS = 1_500;
/** Races that wait for their turn; more happen as they come. */
const MAX_WAITING = 4;
const LOOK_MS = 10;
/** Drains and cordons are taken back after this. */
const TAKEN_BACK_MS = { min: 500, max: 5_000 };

export function createRaceDeeds(ground: Ground, control: ProofControl, fleet: ProofFleet): RaceDeeds {
  const { github, controller, api } = control;
  const counts = new Map<string, number>();
  const complaints: string[] = [];
  const pending = new Set<Promise<void>>();
  let orderCount = 0;
  let jobCount = 0;
  /** The race that is the last in line, and how many there are. */
  let turn = Promise.resolve();
  let waiting = 0;
  let kills = Promise.resolve();

  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);

  function track(work: Promise<void>): void {
    const done: Promise<void> = work
      .catch((error: unknown) => {
        if (!ground.signal.aborted) complaints.push(errorMessage(error));
      })
      .finally(() => pending.delete(done));
    pending.add(done);
  }

  const after = (delayMs: number, task: () => void): void =>
    track(pause(delayMs, undefined, { signal: ground.signal }).then(task));

  function queueJob(vmId: string, durationMs: number): number {
    jobCount += 1;
    const labels = ['self-hosted', POOL, vmId];
    return github.queueJob({ name: `race job ${jobCount}`, durationMs, labels }).id;
  }

  async function order(vmId: string, what: Order): Promise<void> {
    orderCount += 1;
    const key = `race-${orderCount}`;
    try {
      switch (what) {
        case 'cordon':
        case 'uncordon':
          await api.setCordon(vmId, what === 'cordon');
          if (what === 'cordon') takeBack(vmId, 'uncordon');
          return;
        case 'replace':
          await api.submit(vmId, { type: 'register_runner', parameters: { replace: true } }, key);
          return;
        case 'drain':
        case 'undrain':
        case 'shutdown':
          await api.submit(vmId, { type: what, parameters: { reason: 'a race' } }, key);
          if (what === 'drain') takeBack(vmId, 'undrain');
      }
    } catch (error) {
      // A VM that is not known yet, or cannot be given this order as it stands.
      if (!(error instanceof ApiRefusalError && [404, 409, 422].includes(error.status))) throw error;
    }
  }

  /** A VM that stays out of service takes part in no race. */
  function takeBack(vmId: string, what: 'undrain' | 'uncordon'): void {
    const { min, max } = TAKEN_BACK_MS;
    after(min + ground.random() * (max - min), () => track(order(vmId, what)));
  }

  /** Resolves to whether it was so in time. */
  async function within(deadlineMs: number, condition: () => boolean): Promise<boolean> {
    const deadline = performance.now() + deadlineMs;
    while (!condition()) {
      if (performance.now() > deadline) return false;
      await pause(LOOK_MS, undefined, { signal: ground.signal });
    }
    return true;
  }

  /** While a deletion waits at GitHub's door, `meanwhile` is done, and says whether it came to pass; one race at a time. */
  async function whileDeleteWaits(
    what: string,
    begin: () => Promise<void>,
    meanwhile: () => Promise<boolean>,
  ): Promise<void> {
    if (waiting >= MAX_WAITING) {
      await begin();
      await meanwhile();
      return;
    }
    waiting += 1;
    const before = turn;
    let done: () => void = () => undefined;
    turn = new Promise((resolve) => (done = resolve));
    await before;
    const hold = github.faults.hold('delete-runner');
    try {
      const begun = begin();
      // An order is not accepted while the controller is down.
      await Promise.race([begun, pause(HOLD_MS, undefined, { signal: ground.signal })]);
      const isThere = await within(HOLD_MS, () => hold.waiting() > 0);
      if ((await meanwhile()) && isThere) count(what);
      hold.release();
      await begun;
    } finally {
      hold.release();
      waiting -= 1;
      done();
    }
  }

  /** This VM, or the next one whose runner waits for a job: only there a race can happen. */
  function readyFrom(vmId: string): string {
    const waiting = new Set(
      github
        .runners()
        .filter(({ status, busy }) => status === 'online' && !busy)
        .map(({ name }) => vmOfRunner(name)),
    );
    const first = fleet.vmIds.indexOf(vmId);
    const inOrder = [...fleet.vmIds.slice(first), ...fleet.vmIds.slice(0, first)];
    return inOrder.find((each) => waiting.has(each)) ?? vmId;
  }

  const statusOf = (jobId: number) => github.jobs().find(({ id }) => id === jobId)?.status;

  function jobBeforeDelete({ vmId: wanted, order: what, durationMs }: Race): Promise<void> {
    let vmId = wanted;
    return whileDeleteWaits(
      '(of these, with the job handed over before the deletion)',
      () => {
        vmId = readyFrom(wanted);
        return order(vmId, what);
      },
      () => {
        const jobId = queueJob(vmId, durationMs);
        return within(1_000, () => statusOf(jobId) !== 'queued');
      },
    );
  }

  function endBeforeDelete({ vmId: wanted, order: what, durationMs }: Race): Promise<void> {
    let jobId = 0;
    return whileDeleteWaits(
      '(of these, with the end of the job before the deletion)',
      async () => {
        const vmId = readyFrom(wanted);
        jobId = queueJob(vmId, durationMs);
        await within(1_000, () => statusOf(jobId) === 'in_progress');
        await order(vmId, what);
      },
      () => within(durationMs + 500, () => statusOf(jobId) === 'completed'),
    );
  }

  async function killController(): Promise<void> {
    await controller.kill();
    await controller.start();
  }

  return {
    counts,
    complaints,
    begin(deed) {
      count(deed.kind === 'order' ? deed.order : deed.kind);
      switch (deed.kind) {
        case 'job':
          queueJob(deed.vmId, deed.durationMs);
          return;
        case 'jobBeforeDelete':
          track(jobBeforeDelete(deed));
          return;
        case 'endBeforeDelete':
          track(endBeforeDelete(deed));
          return;
        case 'order':
          track(order(deed.vmId, deed.order));
          return;
        case 'fail':
          github.faults.failNext(deed.route, deed);
          return;
        case 'slow':
          github.faults.delayNext(deed.route, deed);
          return;
        case 'deleteLag':
          github.faults.setDeleteLag(deed);
          after(deed.forMs, () => github.faults.setDeleteLag({ handOverMs: 0, jobEndMs: 0 }));
          return;
        case 'unreachable':
          github.faults.setReachable(false);
          after(deed.forMs, () => github.faults.setReachable(true));
          return;
        case 'abusive':
          github.rateLimit.tripSecondary(deed.forMs);
          return;
        case 'idleRemoval':
          github.faults.setJitIdleRemovalMs(deed.idleMs);
          after(deed.forMs, () => github.faults.setJitIdleRemovalMs(undefined));
          return;
        case 'killController':
          kills = kills.then(killController);
          track(kills);
          return;
        case 'endMiglet':
          fleet.end(deed.vmId);
          return;
        case 'killMiglet':
          fleet.kill(deed.vmId);
      }
    },
    repair() {
      github.faults.clear();
      github.webhooks.faults.clear();
    },
    async settle() {
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}
