/**
 * Timers that outlive the state in which they begin: each is an event that the machine raises to itself after a named delay,
 * under an id by which it is taken back.
 */
import { cancel, enqueueActions, raise } from 'xstate';
import { shortestDeadline } from './deadlines.js';
import type { MachineVocabulary } from './setup.js';

const BEAT = 'beat';
const EARLY_BEAT = 'earlyBeat';
const STOP_GRACE = 'stopGrace';
const FENCE = 'fence';
const deadlineTimer = (deadlineMs: number): string => `drainDeadline.${deadlineMs}`;

export function createTimers(machineSetup: MachineVocabulary) {
  /** Starts the timer of the shortest deadline, beside those that run: the first that ends counts. */
  const startDrainDeadline = machineSetup.createAction(
    enqueueActions(({ context, enqueue }) => {
      const deadlineMs = shortestDeadline(context);
      if (deadlineMs === undefined) return;
      const id = deadlineTimer(deadlineMs);
      enqueue(cancel(id));
      enqueue(raise({ type: 'drain.deadlineReached' }, { id, delay: 'drainDeadline' }));
    }),
  );
  /** A drain that has ended has no deadline: a later one must not be cut short by it. */
  const stopDrainDeadlines = machineSetup.createAction(
    enqueueActions(({ context, enqueue }) => {
      for (const deadlineMs of context.drain?.deadlinesMs ?? []) enqueue(cancel(deadlineTimer(deadlineMs)));
    }),
  );

  const beatLater = machineSetup.createAction(
    enqueueActions(({ enqueue }) => {
      enqueue(cancel(BEAT));
      enqueue(cancel(EARLY_BEAT));
      enqueue(raise({ type: 'heartbeat.due' }, { id: BEAT, delay: 'heartbeatInterval' }));
    }),
  );
  /**
   * The interval may have become shorter: a beat comes at a random time within it, so that a fleet that is told at once does
   * not answer at once. The beat that was due stays due: however often this is asked for, it is not put off.
   */
  const beatEarly = machineSetup.createAction(
    enqueueActions(({ enqueue }) => {
      enqueue(cancel(EARLY_BEAT));
      enqueue(raise({ type: 'heartbeat.due' }, { id: EARLY_BEAT, delay: 'heartbeatSpread' }));
    }),
  );

  /** Tells the runner to end, once: whoever asks again, from whatever state, does not put off its end. */
  const stopOnce = machineSetup.createAction(
    enqueueActions(({ context, enqueue }) => {
      if (context.stopping) return;
      enqueue('expectExit');
      enqueue('stopRunner');
      enqueue(raise({ type: 'stop.graceEnded' }, { id: STOP_GRACE, delay: 'stopGrace' }));
    }),
  );
  /** It has ended, or took a job and must not be killed when its grace is over (I5). */
  const endStop = machineSetup.createAction(
    enqueueActions(({ enqueue }) => {
      enqueue(cancel(STOP_GRACE));
      enqueue('letItGoOn');
    }),
  );

  /** Counts from the moment in which the last stream ended, or from the start. */
  const fenceLater = machineSetup.createAction(
    enqueueActions(({ context, enqueue }) => {
      if (context.limits.fenceAfterMs === 0) return;
      enqueue(raise({ type: 'link.missed' }, { id: FENCE, delay: 'fenceAfter' }));
    }),
  );
  const fenceNot = machineSetup.createAction(cancel(FENCE));

  return {
    startDrainDeadline,
    stopDrainDeadlines,
    beatLater,
    beatEarly,
    stopOnce,
    endStop,
    fenceLater,
    fenceNot,
  };
}
