import { messageOf } from './describe.js';
import { askedName } from './registrations.js';
import type { MachineParts } from './setup.js';

/**
 * How a runner is taken out of service without ending a job (I5); used by a drain, and for a runner that an earlier
 * process of the MIGlet left behind.
 *
 * @param end the state, beside these, that follows when neither process nor registration is left
 */
export function retirement<const End extends string>(
  { machineSetup, stopOnce, endStop, remember }: MachineParts,
  end: End,
) {
  const deciding = machineSetup.createStateConfig({
    always: [
      { guard: 'runnerGone', target: end, actions: ['leaveBehind', remember] },
      { guard: 'forcedStop', target: 'stoppingRunner' },
      { guard: 'lingersWithoutJob', target: 'stoppingRunner' },
      // Asked for also while a job runs: GitHub refuses then, and the controller sees to it that no other job comes.
      { guard: 'registered', target: 'deregistering' },
      { guard: 'jobRuns', target: 'finishingJob' },
      { guard: 'processAlive', target: 'stoppingRunner' },
      { target: end },
    ],
  });
  const finishingJob = machineSetup.createStateConfig({
    on: {
      'job.finished': 'deciding',
      'runner.exited': 'deciding',
      'runner.hung': 'deciding',
      'link.up': 'deciding',
    },
  });
  /** I5: only GitHub can say that a job whose process does not end is none any more. */
  const lingering = machineSetup.createStateConfig({
    on: { 'job.finished': 'deciding', 'runner.exited': 'deciding', 'link.up': 'deciding' },
    after: { lingerRetry: 'deciding' },
  });
  const deregistering = machineSetup.createStateConfig({
    invoke: {
      src: 'deregister',
      input: ({ context }) => ({ runnerName: askedName(context) }),
      onDone: [
        {
          guard: {
            type: 'outcomeIs',
            params: ({ event }) => ({ actual: event.output.outcome, wanted: 'deleted' }),
          },
          target: 'deciding',
          actions: ['loseAsked', remember],
        },
        {
          guard: {
            type: 'outcomeIs',
            params: ({ event }) => ({ actual: event.output.outcome, wanted: 'notManaged' }),
          },
          target: 'deciding',
          actions: ['loseAsked', 'lingerNot', remember],
        },
        {
          target: 'refused',
          actions: {
            type: 'countDeregisterFailure',
            params: ({ event }) => ({ reason: event.output.message }),
          },
        },
      ],
      onError: {
        target: 'refused',
        actions: {
          type: 'countDeregisterFailure',
          params: ({ event }) => ({ reason: messageOf(event.error) }),
        },
      },
    },
    on: { 'runner.exited': 'deciding' },
    after: {
      deregisterTimeout: {
        target: 'refused',
        actions: {
          type: 'countDeregisterFailure',
          params: { reason: 'the controller did not answer in time' },
        },
      },
    },
  });
  const refused = machineSetup.createStateConfig({
    always: [
      { guard: 'lingering', target: 'lingering' },
      { guard: 'jobRuns', target: 'finishingJob' },
      { target: 'waitingToAsk' },
    ],
  });
  const waitingToAsk = machineSetup.createStateConfig({
    on: { 'job.started': 'deciding', 'runner.exited': 'deciding', 'link.up': 'deciding' },
    after: { deregisterRetry: 'deciding' },
  });
  const stoppingRunner = machineSetup.createStateConfig({
    entry: stopOnce,
    on: {
      'runner.exited': 'deciding',
      'job.started': [
        { guard: 'forcedStop' },
        // It came in nevertheless: it is not killed (I5).
        { target: 'deciding', actions: endStop },
      ],
      'stop.graceEnded': { actions: 'killRunner' },
    },
  });
  return { deciding, deregistering, refused, finishingJob, lingering, waitingToAsk, stoppingRunner };
}
