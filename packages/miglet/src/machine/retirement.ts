import { messageOf } from './describe.js';
import type { MachineParts } from './setup.js';

/**
 * How a runner is taken out of service without ending a job (I5); used by a drain, and for a runner that an earlier
 * process of the MIGlet left behind.
 *
 * @param end the state, beside these, that follows when neither process nor registration is left
 */
export function retirement<const End extends string>(
  { machineSetup, stopOnce, endStop }: MachineParts,
  end: End,
) {
  const deciding = machineSetup.createStateConfig({
    always: [
      { guard: 'runnerGone', target: end },
      { guard: 'forcedStop', target: 'stoppingRunner' },
      // Asked for also while a job runs: GitHub refuses then, and the controller sees to it that no other job comes.
      { guard: 'registered', target: 'deregistering' },
      { guard: 'jobRuns', target: 'finishingJob' },
      { guard: 'processAlive', target: 'stoppingRunner' },
      { target: end },
    ],
  });
  const finishingJob = machineSetup.createStateConfig({
    on: { 'job.finished': 'deciding', 'runner.exited': 'deciding', 'link.up': 'deciding' },
  });
  const deregistering = machineSetup.createStateConfig({
    invoke: {
      src: 'deregister',
      input: ({ context }) => ({ runnerName: context.runner?.name ?? '' }),
      onDone: [
        {
          guard: {
            type: 'outcomeIs',
            params: ({ event }) => ({ actual: event.output.outcome, wanted: 'deleted' }),
          },
          target: 'deciding',
          actions: 'loseRunner',
        },
        {
          guard: {
            type: 'outcomeIs',
            params: ({ event }) => ({ actual: event.output.outcome, wanted: 'notManaged' }),
          },
          target: 'deciding',
          actions: 'loseRunner',
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
    always: [{ guard: 'jobRuns', target: 'finishingJob' }, { target: 'waitingToAsk' }],
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
  return { deciding, deregistering, refused, finishingJob, waitingToAsk, stoppingRunner };
}
