import { exitData, jobData } from './describe.js';
import type { MachineParts } from './setup.js';

/** The witness of the runner's process and its job, whatever the lifecycle does. */
export function createRunnerRegion({ machineSetup, endStop }: MachineParts) {
  return machineSetup.createStateConfig({
    initial: 'none',
    on: { 'lifecycle.ended': '.closed' },
    states: {
      none: {
        on: {
          'runner.started': {
            target: 'alive',
            actions: { type: 'takeRunner', params: ({ event }) => ({ runner: event.runner }) },
          },
          // It could not be started at all: the lifecycle waits for it, or has gone on.
          'runner.exited': {},
        },
      },
      alive: {
        initial: 'starting',
        states: {
          starting: { on: { 'runner.listening': 'idle' } },
          idle: {},
          busy: {
            on: {
              'job.finished': [
                {
                  // Reported by an earlier process of the MIGlet: only how things stand.
                  guard: { type: 'isTrue', params: ({ event }) => ({ value: event.known === true }) },
                  target: 'idle',
                  actions: 'dropJob',
                },
                {
                  target: 'idle',
                  actions: [
                    'dropJob',
                    {
                      type: 'emitEvent',
                      params: ({ event }) => ({
                        type: 'job_completed',
                        data: { ...jobData(event.job), result: event.result },
                      }),
                    },
                  ],
                },
              ],
            },
          },
        },
        on: {
          'job.started': [
            {
              guard: { type: 'isTrue', params: ({ event }) => ({ value: event.known === true }) },
              target: '.busy',
              actions: { type: 'takeJob', params: ({ event }) => ({ job: event.job }) },
            },
            {
              target: '.busy',
              actions: [
                { type: 'takeJob', params: ({ event }) => ({ job: event.job }) },
                {
                  type: 'emitEvent',
                  params: ({ event }) => ({ type: 'job_started', data: jobData(event.job) }),
                },
              ],
            },
          ],
          'runner.exited': [
            {
              guard: { type: 'endedWell', params: ({ event }) => ({ exit: event }) },
              target: 'none',
              actions: [
                {
                  type: 'emitEvent',
                  params: ({ event }) => ({ type: 'runner_exited', data: exitData(event) }),
                },
                'loseProcess',
                endStop,
              ],
            },
            {
              target: 'none',
              actions: [
                {
                  type: 'emitEvent',
                  params: ({ event, context }) => ({
                    type: 'runner_crashed',
                    data: {
                      ...exitData(event),
                      ...(context.job === undefined ? {} : { job: context.job.name }),
                    },
                  }),
                },
                'loseProcess',
                endStop,
              ],
            },
          ],
        },
      },
      closed: { type: 'final' },
    },
  });
}
