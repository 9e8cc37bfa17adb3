/**
 * Finds webhooks that failed, and has them delivered again: GitHub never does that by itself.
 *
 *   every minute: walk over GitHub's list, newest first, back to where the last walk began
 *                   -> failed, and not taken since: remembered (lost-deliveries.ts, durable)
 *                 ask for another attempt of those whose time has come
 *
 * Limits (I12), and what happens at them: `PAGES_PER_ROUND` pages of 100 are read in a round, and the walk goes on in the next;
 * `ATTEMPTS_PER_ROUND` attempts, the newest deliveries first, as they tell of what is so now; `PAUSES_MS` between the attempts
 * of one delivery, after the last of which it is given up, and said to be. GitHub keeps deliveries for three days.
 */
import { toRfc3339, type Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { GitHubCallError } from '../client/github-client.js';
import type { DeliveriesApi, Delivery } from './deliveries-api.js';
import type { LostDeliveries, LostDelivery } from './lost-deliveries.js';

const MINUTE_MS = 60_000;
const INTERVAL_MS = MINUTE_MS;
/** So soon after the start is the first round: what came while there was no controller waits. */
const FIRST_ROUND_MS = 5_000;
/** Deliveries appear on the list when they have ended, with the time at which they began. */
const OVERLAP_MS = 2 * MINUTE_MS;
/** Without a cursor the list is looked at so far back. */
const FIRST_LOOK_BACK_MS = 60 * MINUTE_MS;
/** Older deliveries cannot be made again. */
const MAX_AGE_MS = 3 * 24 * 60 * MINUTE_MS;
const PAGES_PER_ROUND = 20;
const ATTEMPTS_PER_ROUND = 50;
/** After the first attempt, the second, …; as many attempts as there are pauses. */
const PAUSES_MS = [2, 5, 15, 60, 240].map((minutes) => minutes * MINUTE_MS);

export interface RedeliveryStatus {
  /** Whose deliveries are looked at. */
  readonly source: string;
  /** The list is settled until here, by GitHub's clock; undefined before the first round. */
  readonly cursorAt: number | undefined;
  /** Deliveries that failed and are still to come. */
  readonly lost: number;
  readonly lastRoundAt: number | undefined;
  /** What the last round did. */
  readonly lastRound: RoundSummary | undefined;
  /** Why the last round did not come to its end; undefined if it did. */
  readonly problem: string | undefined;
}

export interface RoundSummary {
  /** Deliveries on the list that were looked at. */
  readonly looked: number;
  /** Failed ones that were not known before. */
  readonly found: number;
  /** Attempts that were asked for. */
  readonly redelivered: number;
  readonly givenUp: number;
}

export interface Redelivery {
  /** From now on there is a round every minute. */
  start(): void;
  /** One round, now; of two at a time there is one. Never rejects. */
  round(): Promise<void>;
  status(): RedeliveryStatus;
  /** Resolves when no round is under way. */
  settled(): Promise<void>;
  /** Begins no other; resolves as `settled`. */
  stop(): Promise<void>;
}

export interface RedeliveryDeps {
  readonly api: DeliveriesApi;
  readonly lost: LostDeliveries;
  /** Was the webhook with this GUID taken? */
  readonly isTaken: (guid: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A walk over the list that is not at its end. */
interface Walk {
  /** Of the first delivery that it saw. */
  beganAt: number | undefined;
  /** Where it goes on; undefined: at the newest. */
  cursor: string | undefined;
  /** Webhooks of which a later attempt succeeded. */
  readonly succeeded: Set<string>;
}

const newWalk = (): Walk => ({ beganAt: undefined, cursor: undefined, succeeded: new Set() });

export function createRedelivery(deps: RedeliveryDeps): Redelivery {
  const { api, lost, isTaken, clock, logger } = deps;
  let walk = newWalk();
  let running: Promise<void> | undefined;
  let timer: unknown;
  let stopped = false;
  let lastRoundAt: number | undefined;
  let lastRound: RoundSummary | undefined;
  let problem: string | undefined;

  /** How far back the list is to be read, by GitHub's clock. */
  function bottomAt(): number {
    if (lost.readUntil === undefined) {
      const since = clock.now() - FIRST_LOOK_BACK_MS;
      lost.moveTo(since);
      logger.info(
        { source: api.source, since: toRfc3339(since) },
        'lost webhooks are looked for, for the first time: an hour back',
      );
    }
    return Math.max(clock.now() - MAX_AGE_MS, (lost.readUntil ?? 0) - OVERLAP_MS);
  }

  function look(delivery: Delivery): boolean {
    const { guid, event, succeeded } = delivery;
    if (event !== 'workflow_job') return false;
    if (succeeded) {
      walk.succeeded.add(guid);
      lost.settle(guid);
      return false;
    }
    if (walk.succeeded.has(guid) || isTaken(guid)) return false;
    const isNew = lost.get(guid) === undefined;
    lost.note(delivery);
    return isNew;
  }

  /** Reads on, until what the last walk has read, or the limit of the round. */
  async function readList(summary: { looked: number; found: number }): Promise<void> {
    const bottom = bottomAt();
    for (let pages = 0; pages < PAGES_PER_ROUND && !stopped; pages += 1) {
      if (lost.isFull) {
        problem = 'too many deliveries have failed: the list is read on when some of them are settled';
        return;
      }
      const { deliveries, next } = await api.page(walk.cursor);
      walk.beganAt ??= deliveries[0]?.deliveredAt;
      for (const delivery of deliveries) {
        if (delivery.deliveredAt < bottom) continue;
        summary.looked += 1;
        if (look(delivery)) summary.found += 1;
      }
      const oldest = deliveries.at(-1)?.deliveredAt;
      if (next === undefined || oldest === undefined || oldest < bottom) {
        lost.moveTo(Math.max(walk.beganAt ?? 0, lost.readUntil ?? 0));
        walk = newWalk();
        return;
      }
      walk.cursor = next;
    }
  }

  /** Forgets what was taken, what is too old, and what was given up and cannot be found again. */
  function tidy(): number {
    let expired = 0;
    for (const entry of [...lost.all()]) {
      const isOut = entry.deliveredAt < clock.now() - MAX_AGE_MS;
      if (isTaken(entry.guid)) lost.settle(entry.guid);
      else if (entry.givenUp) {
        if (entry.deliveredAt < (lost.readUntil ?? 0) - OVERLAP_MS) lost.settle(entry.guid);
      } else if (isOut) {
        giveUp(entry, 'GitHub keeps deliveries for three days');
        expired += 1;
      }
    }
    return expired;
  }

  function giveUp(entry: LostDelivery, reason: string): void {
    logger.error(
      {
        event: 'webhook_given_up',
        delivery: entry.guid,
        deliveryId: entry.deliveryId,
        action: entry.action,
        attempts: entry.attempts,
        reason,
      },
      'a webhook is lost: its job is looked up, if the controller knows of it',
    );
    lost.change(entry, { givenUp: true });
  }

  async function askAgain(summary: { redelivered: number; givenUp: number }): Promise<void> {
    const due = [...lost.all()]
      .filter((entry) => !entry.givenUp && entry.nextAt <= clock.now())
      .sort((a, b) => b.deliveredAt - a.deliveredAt);
    for (const entry of due) {
      if (stopped || summary.redelivered >= ATTEMPTS_PER_ROUND) return;
      if (isTaken(entry.guid)) continue; // it came meanwhile
      const pauseMs = PAUSES_MS[entry.attempts];
      if (pauseMs === undefined) {
        giveUp(entry, `${entry.attempts} further attempts failed`);
        summary.givenUp += 1;
        continue;
      }
      try {
        await api.redeliver(entry.deliveryId);
      } catch (error) {
        if (!isForGood(error)) throw error;
        giveUp(entry, errorMessage(error));
        summary.givenUp += 1;
        continue;
      }
      summary.redelivered += 1;
      const now = lost.get(entry.guid);
      if (now !== undefined) lost.change(now, { attempts: now.attempts + 1, nextAt: clock.now() + pauseMs });
    }
  }

  async function runRound(): Promise<void> {
    const summary = { looked: 0, found: 0, redelivered: 0, givenUp: 0 };
    problem = undefined;
    try {
      await readList(summary);
      summary.givenUp += tidy();
      await lost.save(); // before they are asked for: after a crash they are still known
      await askAgain(summary);
    } catch (error) {
      problem = errorMessage(error);
      if (isCursorRefused(error, walk)) walk = newWalk();
      logger.warn(
        { source: api.source, reason: problem },
        'lost webhooks could not be looked for to the end',
      );
    }
    await lost.save().catch((error: unknown) => {
      problem = errorMessage(error);
    });
    lastRoundAt = clock.now();
    lastRound = summary;
    if (summary.found > 0 || summary.redelivered > 0)
      logger.info(
        { event: 'webhooks_lost', source: api.source, ...summary, stillLost: stillLost() },
        'webhooks that failed were found, and are delivered again',
      );
  }

  /** What was taken since the last round is not lost any more. */
  const stillLost = (): number =>
    [...lost.all()].filter((entry) => !entry.givenUp && !isTaken(entry.guid)).length;

  function round(): Promise<void> {
    running ??= runRound().finally(() => (running = undefined));
    return running;
  }

  function schedule(afterMs: number): void {
    timer = clock.setTimer(() => {
      void round().finally(() => {
        if (!stopped) schedule(INTERVAL_MS);
      });
    }, afterMs);
  }

  return {
    start: () => schedule(FIRST_ROUND_MS),
    round,
    status: () => ({
      source: api.source,
      cursorAt: lost.readUntil,
      lost: stillLost(),
      lastRoundAt,
      lastRound,
      problem,
    }),
    settled: async () => running,
    async stop() {
      stopped = true;
      clock.clearTimer(timer);
      await running;
    },
  };
}

/** GitHub does not know the delivery any more, or will not make it again. */
const isForGood = (error: unknown): boolean =>
  error instanceof GitHubCallError &&
  error.failure === 'refused' &&
  (error.status === 400 || error.status === 404 || error.status === 422);

/** The place on the list is not known any more: the walk begins anew. */
const isCursorRefused = (error: unknown, { cursor }: Walk): boolean =>
  cursor !== undefined && isForGood(error);
