import { toRfc3339 } from '@mig/common/clock';
import { exitData, jobData } from './describe.js';
import type { MachineParts } from './setup.js';

/** The witness of the runner's process and its job, whatever the lifecycle does. */
export function createRunnerRegion({ machineSetup, endStop, remember, takeHang }: MachineParts) {
  return machineSetup.createStateConfig({
    initial: 'none',
    on: { 'lifecycle.ended': '.closed' },
    states: {
      none: {
        on: {
          'runner.started': {
            target: 'alive',
            actions: [
              { type: 'takeRunner', params: ({ event }) => ({ runner: event.runner }) },
              'takeFromLeft',
              remember,
            ],
          },
          // It could not be started at all: the lifecycle waits for it, or has gone on.
          'runner.exited': {},
        },
      },
      alive: {
        initial: 'starting',
        states: {
          starting: {
            on: {
              'runner.listening': {
                target: 'idle',
                actions: { type: 'takePause', params: { paused: undefined } },
              },
            },
          },
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
          'job.described': {
            actions: [
              { type: 'describeJob', params: ({ event }) => ({ job: event.job }) },
              machineSetup.raise({ type: 'heartbeat.due' }),
            ],
          },
          'runner.hung': { actions: takeHang },
          'runner.disconnected': {
            actions: {
              type: 'emitEvent',
              params: ({ event }) => ({
                type: 'runner_disconnected',
                data: { reason: event.reason, at: toRfc3339(event.at) },
              }),
            },
          },
          'runner.reconnected': {
            actions: {
              type: 'emitEvent',
              params: ({ event }) => ({ type: 'runner_reconnected', data: { at: toRfc3339(event.at) } }),
            },
          },
          'runner.updating': [
            {
              guard: { type: 'isTrue', params: ({ event }) => ({ value: event.known === true }) },
              actions: { type: 'takePause', params: { paused: 'update' } },
            },
            {
              actions: [
                { type: 'takePause', params: { paused: 'update' } },
                {
                  type: 'emitEvent',
                  params: ({ event }) => ({
                    type: 'runner_updating',
                    data: {
                      reason: event.reason,
                      ...(event.process === undefined ? {} : { process: event.process }),
                    },
                  }),
                },
              ],
            },
          ],
          'runner.restarting': [
            {
              guard: { type: 'updateIsKnown', params: ({ event }) => ({ why: event.why }) },
              target: '.starting',
            },
            {
              target: '.starting',
              actions: [
                { type: 'takePause', params: ({ event }) => ({ paused: event.why }) },
                {
                  type: 'emitEvent',
                  params: ({ event }) => ({
                    type: event.why === 'update' ? 'runner_updating' : 'runner_crashed',
                    data: {
                      exit_code: String(event.code),
                      reason: event.reason,
                      ...(event.why === 'update'
                        ? {}
                        : { outcome: 'retryable', restart: String(event.attempt) }),
                    },
                  }),
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
                  params: ({ event, context }) => ({
                    type: 'runner_exited',
                    data: exitData(event, context.job),
                  }),
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
                    data: exitData(event, context.job),
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
