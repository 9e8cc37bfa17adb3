/**
 * Compares GitHub's runners, the VMs and what their MIGlets say, every `intervalMs`, and mends what stays wrong.
 *
 *   views.ts      the three views, row by row (pure)
 *   findings.ts   what does not fit together (pure)
 *   sightings.ts  how often it was seen, and since when
 *   remedies.ts   what is done about it, once
 *   round.ts      all of it, one time
 *
 * What was seen is kept in memory alone: a controller that starts waits for two sightings and the grace again, in which every VM
 * has time to come back (I7).
 */
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { CommandQueue } from '../../commands/command-queue.js';
import type { ControllerEvents } from '../../fleet/controller-events.js';
import type { Fleet, VmView } from '../../fleet/fleet.js';
import type { VmRecord } from '@mig/common/domain/vm';
import { scopePath, type Scope } from '../client/github-client.js';
import type { Ownership } from '../runners/ownership.js';
import type { RunnersApi } from '../runners/runners-api.js';
import { findingOf, type Finding, type JobEnd } from './findings.js';
import { createRemedies } from './remedies.js';
import { createRound, type Deed, type RoundReport } from './round.js';
import { createSightings, type Sighting } from './sightings.js';
import { joinViews, placeKey, toVmWord, type RunnerRow, type VmWord } from './views.js';

export interface Reconciler {
  /** The first round begins after about one interval. */
  start(): void;
  /** Begins nothing more; resolves when the round that is under way has ended. */
  stop(): Promise<void>;
  /** A round now, or the end of the one that is under way. Never rejects. */
  round(): Promise<void>;
  status(): ReconciliationStatus;
  /** GitHub's last lists, with the VMs as they are now. */
  rows(): {
    readonly row: RunnerRow;
    readonly listedAt: number | undefined;
    readonly sighting: Sighting | undefined;
  }[];
}

export interface ReconciliationStatus {
  readonly intervalMs: number;
  readonly graceMs: number;
  /** Undefined before the first round has ended. */
  readonly lastRound: LastRound | undefined;
  /** Oldest first. */
  readonly open: readonly Sighting[];
  /** What was done, newest last; the last `MAX_DEEDS`. */
  readonly deeds: readonly Deed[];
  /** Why the last round came to nothing, in whole or in part. */
  readonly problem: string | undefined;
}

export interface LastRound extends RoundReport {
  /** When it began; milliseconds since 1970. */
  readonly at: number;
  readonly durationMs: number;
}

export interface ReconcilerDeps {
  readonly runners: RunnersApi;
  readonly ownership: Ownership;
  /** Every place in which runners of ours may be. */
  readonly scopes: () => readonly Scope[];
  /** Where the runners of this VM are registered; undefined = it names no place. */
  readonly scopeOf: (vm: VmRecord) => Scope | undefined;
  readonly fleet: Pick<Fleet, 'get' | 'views'>;
  readonly queue: Pick<CommandQueue, 'open' | 'submit'>;
  readonly events: Pick<ControllerEvents, 'enter'>;
  /** The drain by which the VM is out of service, or on its way there. */
  readonly drainIdOf: (vmId: string) => string | undefined;
  /** What webhooks told, as of now; asked once in a round. */
  readonly jobEnds: () => JobEnd;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface ReconcilerOptions {
  readonly intervalMs: number;
  readonly graceMs: number;
}

/** Above it the oldest is forgotten (I12). */
const MAX_DEEDS = 200;
/** So many intervals without a look, and a finding begins anew. */
const STALE_INTERVALS = 3;
/** Part of the interval by which a round comes earlier or later, so that controllers do not ask all at once. */
const JITTER = 0.1;

export function createReconciler(deps: ReconcilerDeps, options: ReconcilerOptions): Reconciler {
  const { fleet, clock, logger, ownership } = deps;
  const { intervalMs, graceMs } = options;
  const sightings = createSightings(clock, { graceMs, staleMs: STALE_INTERVALS * intervalMs });
  const deeds: Deed[] = [];
  let lastRound: LastRound | undefined;
  let failure: string | undefined;
  let stopped = false;
  let jobEnd: JobEnd = () => undefined;
  let timer: unknown;
  let underWay: Promise<void> | undefined;

  const wordOf = (view: VmView): VmWord =>
    toVmWord(view, {
      scope: deps.scopeOf(view.record),
      registrationOpen: deps.queue.open(view.record.vmId).some(({ type }) => type === 'register_runner'),
      draining: deps.drainIdOf(view.record.vmId) !== undefined,
    });

  function* words(): Iterable<VmWord> {
    for (const view of fleet.views()) yield wordOf(view);
  }

  function lookAgain({ row }: Finding): Finding | undefined {
    const { scope, github, vm } = row;
    const view = vm === undefined ? undefined : fleet.get(vm.vmId);
    // A VM that nobody knew may have come.
    const vms = view === undefined ? words() : [wordOf(view)];
    const lists = [{ scope, runners: github === undefined ? [] : [github] }];
    const now = joinViews(lists, vms, ownership).find(({ key }) => key === row.key);
    return now === undefined ? undefined : findingOf(now, { ownership, jobEnd });
  }

  const runRound = createRound({
    ...deps,
    words,
    sightings,
    ownership,
    jobEnd: (name) => jobEnd(name),
    graceMs,
    remedies: createRemedies({
      runners: deps.runners,
      lookAgain,
      submit: (submission) => deps.queue.submit(submission),
      events: deps.events,
      clock,
      logger,
    }),
    onDeed(deed) {
      deeds.push(deed);
      if (deeds.length > MAX_DEEDS) deeds.shift();
    },
    stopped: () => stopped,
  });

  async function oneRound(): Promise<void> {
    const at = clock.now();
    const beganMs = clock.monotonicMs();
    try {
      jobEnd = deps.jobEnds();
      const report = await runRound();
      lastRound = { ...report, at, durationMs: clock.monotonicMs() - beganMs };
      failure = undefined;
      const { scopes, ...counts } = report;
      logger.debug(
        { ...counts, scopes: scopes.length, open: sightings.open().length },
        'a round of reconciliation',
      );
    } catch (error) {
      failure = errorMessage(error);
      logger.error({ err: error }, 'a round of reconciliation failed');
    }
  }

  /** Never two at a time. */
  function round(): Promise<void> {
    if (stopped) return underWay ?? Promise.resolve();
    underWay ??= oneRound().finally(() => (underWay = undefined));
    return underWay;
  }

  function plan(): void {
    if (stopped) return;
    const delayMs = intervalMs * (1 - JITTER + 2 * JITTER * deps.random());
    timer = clock.setTimer(() => void round().then(plan), delayMs);
  }

  function problem(): string | undefined {
    if (failure !== undefined) return failure;
    const problems = (lastRound?.scopes ?? []).flatMap(({ scope, problem: why }) =>
      why === undefined ? [] : [`${scopePath(scope)}: ${why}`],
    );
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  return {
    start: plan,
    async stop() {
      stopped = true;
      clock.clearTimer(timer);
      await underWay;
    },
    round,
    status: () => ({
      intervalMs,
      graceMs,
      lastRound,
      open: sightings.open(),
      deeds: [...deeds],
      problem: problem(),
    }),
    rows() {
      const scopes = lastRound?.scopes ?? [];
      const listed = scopes.filter(({ listedAt }) => listedAt !== undefined);
      const listedAt = new Map(listed.map((scope) => [placeKey(scope.scope), scope.listedAt]));
      const open = new Map(sightings.open().map((sighting) => [sighting.finding.row.key, sighting]));
      return joinViews(listed, words(), ownership)
        .sort((a, b) => (a.key < b.key ? -1 : 1))
        .map((row) => ({
          row,
          listedAt: listedAt.get(placeKey(row.scope)),
          sighting: open.get(row.key),
        }));
    },
  };
}
