/**
 * Keeps one runner: starts it, tells what it does, and decides by its exit whether the machine hears of its end, or whether it is
 * started again with the registration that it has (exit-outcomes.ts): after a code that may pass, up to three times with growing
 * pauses; after an update, when the update has ended. Between the two the machine sees a runner that lives and takes no job.
 *
 * Killed in such a pause, the next process of the MIGlet finds the note of a process that has ended, and no registration to start
 * it with: it tells its end, and the VM registers anew.
 */
import type { Clock, Timer } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { ExitVerdict, MigletEvent, Registration } from '../machine/types.js';
import { outcomeOf, RESTART_PAUSES_MS, type ExitOutcome } from './exit-outcomes.js';
import { adoptListener, startListener } from './listener.js';
import type { PendingUpdate } from './pending-update.js';
import type { Listener, ListenerEnd, ListenerHandlers, ListenerOptions } from './watch-listener.js';

export interface Supervision {
  /** The runner that an earlier process of the MIGlet left, if there is one. */
  adopt(): void;
  start(registration: Registration): void;
  /** Asks it to end; its end is told, also if there is none. */
  stop(): void;
  /** Ends it at once, with its whole tree. */
  kill(): void;
  /** Stops watching; the process goes on. */
  release(): void;
}

export interface SupervisionDeps {
  readonly listener: ListenerOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pendingUpdate: Omit<PendingUpdate, 'wait'>;
  /** From the start of one that is started again until it listens; then it is killed. */
  readonly startTimeoutMs: number;
  /** Before each time that a runner is started again after an error that may pass; default: RESTART_PAUSES_MS. */
  readonly restartPausesMs?: readonly number[];
  /**
   * GitHub refuses the version of the runner that is installed.
   * @returns true if it was installed by us and is removed: the next registration installs another
   */
  readonly forgetInstalled: () => boolean;
  readonly tell: (event: MigletEvent) => void;
}

const LOOK_MS = 500;
/** One that listened this long was a good one: its restarts are counted anew. */
const STABLE_MS = 60_000;

interface Pause {
  readonly end: ListenerEnd;
  readonly outcome: ExitOutcome;
  timer: Timer;
}

export function createSupervision(deps: SupervisionDeps): Supervision {
  const { clock, logger, pendingUpdate, tell } = deps;
  const { directory } = deps.listener;
  let listener: Listener | undefined;
  /** What it can be started again with; undefined for one that an earlier process of the MIGlet started. */
  let registration: Registration | undefined;
  let stopRequested = false;
  let hang: string | undefined;
  let restarts = 0;
  let stableTimer: Timer;
  let startTimer: Timer;
  /** Set between an end that is not told and the next start. */
  let pause: Pause | undefined;
  let starting = false;
  let released = false;

  const handlers: ListenerHandlers = {
    tell(news, known) {
      if (released) return;
      const process = listener?.process ?? '';
      switch (news.type) {
        case 'runner.listening':
          clock.clearTimer(startTimer);
          stableTimer = clock.setTimer(() => (restarts = 0), STABLE_MS);
          tell(news);
          return;
        case 'job.started':
        case 'job.finished':
          hang = undefined;
          restarts = 0;
          tell({ ...news, known });
          return;
        case 'job.described':
          tell(news);
          return;
        case 'runner.hung':
          hang = news.reason;
          logger.warn({ event: 'runner_hung', hang: news.hang, reason: news.reason }, 'the runner hangs');
          tell({ ...news, known, process });
          return;
        case 'runner.updating':
          tell({ ...news, known, process });
          return;
        case 'runner.disconnected':
        case 'runner.reconnected':
          if (!known) tell(news);
      }
    },

    onEnd(end) {
      clock.clearTimer(startTimer);
      clock.clearTimer(stableTimer);
      listener = undefined;
      // Also if its end is told: whoever registers next must not get in its way.
      if (end.updating) pendingUpdate.begin();
      const outcome = outcomeOf(end.exit, {
        stopRequested,
        hang,
        jobsDone: end.state.jobsDone,
        acknowledged: end.state.acknowledgedAt !== undefined,
        lastWords: end.state.lastWords,
        registrationLeft: directory.registeredName() !== '',
        restarts,
      });
      // A job that was cut off must be told with the end of its runner.
      const again =
        outcome.action !== 'tell' && registration !== undefined && end.state.current === undefined;
      if (!again) {
        tellEnd(end, outcome);
        return true;
      }
      if (outcome.action === 'awaitUpdate') awaitUpdate(end, outcome);
      else retry(end, outcome);
      return false;
    },
  };

  function tellEnd(end: ListenerEnd, { verdict }: ExitOutcome): void {
    const deprecated = verdict.outcome === 'version_deprecated';
    const removed = deprecated && deps.forgetInstalled();
    if (deprecated) logger.error({ event: 'version_deprecated', removed }, verdict.reason);
    hang = undefined;
    tell({
      type: 'runner.exited',
      ...end.exit,
      verdict: removed
        ? {
            ...verdict,
            next: 'afterBackoff',
            reason: `${verdict.reason}; it was installed by the MIGlet, which installs another`,
          }
        : verdict,
      process: end.process,
    });
  }

  function retry(end: ListenerEnd, outcome: ExitOutcome): void {
    const pauseMs = (deps.restartPausesMs ?? RESTART_PAUSES_MS)[restarts] ?? 0;
    restarts += 1;
    tellRestarting(end, outcome, 'retry');
    pause = { end, outcome, timer: clock.setTimer(startAgain, pauseMs) };
  }

  function awaitUpdate(end: ListenerEnd, outcome: ExitOutcome): void {
    tellRestarting(end, outcome, 'update');
    const look = (): void => {
      if (pause === undefined) return;
      if (pendingUpdate.isOver()) {
        if (stopRequested) giveUp(pause);
        else startAgain();
        return;
      }
      pause.timer = clock.setTimer(look, LOOK_MS);
    };
    pause = { end, outcome, timer: undefined };
    look();
  }

  function tellRestarting(end: ListenerEnd, { verdict }: ExitOutcome, why: 'update' | 'retry'): void {
    logger.warn({ event: 'runner_restarting', why, restarts }, verdict.reason);
    tell({
      type: 'runner.restarting',
      why,
      code: end.exit.code ?? 0,
      reason: verdict.reason,
      attempt: restarts,
    });
  }

  function startAgain(): void {
    const before = pause;
    pause = undefined;
    if (released || before === undefined || registration === undefined) return;
    startTimer = clock.setTimer(() => {
      hang = 'it was started again, and did not listen for jobs in time';
      listener?.kill();
    }, deps.startTimeoutMs);
    void begin(registration, {
      onStarted: () => undefined,
      onFailure: () => tellEnd(before.end, before.outcome),
    });
  }

  /** Its end is told after all. */
  function giveUp({ end, outcome: { verdict }, timer }: Pause): void {
    clock.clearTimer(timer);
    pause = undefined;
    tellEnd(end, { action: 'tell', verdict: { ...verdict, well: true, next: 'atOnce' } });
  }

  async function begin(
    wanted: Registration,
    { onStarted, onFailure }: { onStarted: (started: Listener) => void; onFailure: () => void },
  ): Promise<void> {
    starting = true;
    try {
      pendingUpdate.discardFinished();
      const started = await startListener(wanted, deps.listener, handlers);
      listener = started;
      if (released) started.release();
      onStarted(started);
      if (stopRequested) started.interrupt();
    } catch (error) {
      clock.clearTimer(startTimer);
      logger.error({ reason: errorMessage(error) }, 'the runner could not be started');
      onFailure();
    } finally {
      starting = false;
    }
  }

  return {
    adopt() {
      listener = adoptListener(deps.listener, handlers);
      if (listener === undefined) return;
      logger.warn({ runner: listener.runner.name }, 'a runner of an earlier MIGlet process is still running');
      tell({ type: 'runner.started', runner: listener.runner });
    },

    start(wanted) {
      registration = wanted;
      stopRequested = false;
      restarts = 0;
      void begin(wanted, {
        onStarted: (started) => tell({ type: 'runner.started', runner: started.runner }),
        // The machine sees a process that ended at once: it backs off and tries again.
        onFailure: () =>
          tell({ type: 'runner.exited', code: undefined, signal: undefined, verdict: NOT_STARTED }),
      });
    },

    stop() {
      stopRequested = true;
      if (listener !== undefined) listener.interrupt();
      else if (pause?.outcome.action === 'restart') giveUp(pause);
      // One that is being updated, or is just being started, is not broken half way: its end is told when that is done.
      else if (pause === undefined && !starting)
        tell({ type: 'runner.exited', code: undefined, signal: undefined });
    },

    kill() {
      if (pause === undefined) {
        listener?.kill();
        return;
      }
      const given = pause;
      clock.clearTimer(given.timer);
      void given.end.endTree().then(() => {
        if (given.end.updating) pendingUpdate.forget();
        giveUp(given);
      });
    },

    release() {
      released = true;
      clock.clearTimer(startTimer);
      clock.clearTimer(stableTimer);
      if (pause !== undefined) clock.clearTimer(pause.timer);
      listener?.release();
    },
  };
}

/** Its program is not there, or cannot be run. */
const NOT_STARTED: ExitVerdict = {
  outcome: 'not_started',
  reason: 'the program of the runner could not be started: see the log',
  well: false,
  registrationGone: false,
  next: 'afterBackoff',
  spent: false,
};
