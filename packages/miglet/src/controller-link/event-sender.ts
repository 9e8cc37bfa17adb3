/**
 * Brings the journaled events onto the stream of the present session: in order, each with the one that must be stored before
 * it, and again until the controller has acknowledged it (I4). A legacy controller acknowledges nothing: for it, sent is
 * acknowledged.
 *
 * Bounded (I12): `WINDOW` events are on their way at a time, half of what a controller takes before it refuses the next.
 */
import type { Clock } from '@mig/common/clock';
import { testPoint } from '@mig/common/test-points';
import type { EventJournal, JournaledEvent } from '../journal/journal.js';

export interface EventSender {
  /** A session is up. @param storedSequence what the controller says that it has of this boot; 0 = nothing */
  begin(storedSequence: number, legacy: boolean): void;
  end(): void;
  /** Sends what has not been sent in this session, as far as there is room. */
  push(): void;
  /** The controller has stored everything up to this. */
  acknowledge(sequence: number): void;
}

export interface EventSenderDeps {
  readonly events: EventJournal;
  /** @returns false if it was not taken */
  readonly send: (event: JournaledEvent, previousSequence: number) => boolean;
  readonly clock: Clock;
}

const WINDOW = 500;
/** What was sent, and then nothing was acknowledged for this long, is sent again. */
const RESEND_MS = 30_000;

export function createEventSender({ events, send, clock }: EventSenderDeps): EventSender {
  let active = false;
  let legacy = false;
  let storedSequence = 0;
  let sentSequence = 0;
  let resendTimer: unknown;

  function push(): void {
    if (!active) return;
    let previous = storedSequence;
    let waiting = 0;
    for (const event of events.pending()) {
      waiting += 1;
      if (event.sequence > sentSequence) {
        if (waiting > WINDOW || !send(event, previous)) break;
        testPoint('events.sent');
        sentSequence = event.sequence;
        if (legacy) {
          events.acknowledge(event.sequence);
          waiting -= 1;
        }
      }
      previous = event.sequence;
    }
    if (waiting > 0) resendTimer ??= clock.setTimer(resend, RESEND_MS);
  }

  function resend(): void {
    resendTimer = undefined;
    sentSequence = 0;
    push();
  }

  function clearTimer(): void {
    clock.clearTimer(resendTimer);
    resendTimer = undefined;
  }

  return {
    begin(stored, isLegacy) {
      active = true;
      legacy = isLegacy;
      // What it has lost since it acknowledged it is not here any more: no event waits for that.
      storedSequence = stored;
      sentSequence = 0;
      if (stored > 0) events.acknowledge(stored);
      push();
    },
    end() {
      active = false;
      clearTimer();
    },
    push,
    acknowledge(sequence) {
      storedSequence = Math.max(storedSequence, sequence);
      events.acknowledge(sequence);
      clearTimer();
      push();
    },
  };
}
