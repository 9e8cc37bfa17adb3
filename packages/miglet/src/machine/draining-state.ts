import { drainedMessage, failure, leftData, success } from './describe.js';
import { retirement } from './retirement.js';
import type { MachineParts } from './setup.js';
import { createUndraining } from './undraining.js';

/** Out of service: the runner is retired without ending a job, and the VM rests, shuts down, or is brought back. */
export function createDrainingState(parts: MachineParts) {
  const { machineSetup, startDrainDeadline, stopDrainDeadlines, remember } = parts;
  const { takeBack, refuseUndrain } = createUndraining(parts);

  return machineSetup.createStateConfig({
    entry: [
      {
        type: 'settle',
        params: ({ context }) => ({
          commandId: context.registration?.commandId,
          result: failure(context.note === '' ? 'the VM is drained instead' : context.note),
        }),
      },
      'dropRegistration',
      remember,
      {
        type: 'emitEvent',
        params: ({ context }) => ({
          type: 'draining',
          data: {
            reason: context.drain?.reason ?? context.ending?.reason ?? '',
            ...(context.job === undefined ? {} : { job: context.job.name }),
          },
        }),
      },
      { type: 'rememberDrained', params: { drained: true } },
      startDrainDeadline,
    ],
    initial: 'deciding',
    states: {
      ...retirement(parts, 'drained'),
      drained: {
        entry: [
          stopDrainDeadlines,
          {
            type: 'settleAll',
            params: ({ context }) => ({
              commandIds: context.drain?.commandIds ?? [],
              result: success(drainedMessage(context), leftData(context)),
            }),
          },
          'answerDrains',
        ],
        always: { guard: 'shutdownWanted', target: '#miglet.lifecycle.shutdown' },
        on: {
          // It was being started when the drain began.
          'runner.started': 'deciding',
          'register.request': {
            target: '#miglet.lifecycle.registering',
            actions: [
              { type: 'takeRegistration', params: ({ event }) => ({ registration: event.registration }) },
              remember,
              'forgetDrain',
              { type: 'rememberDrained', params: { drained: false } },
            ],
          },
        },
      },
    },
    on: {
      'drain.request': [
        {
          guard: { type: 'namesShorterDeadline', params: ({ event }) => ({ request: event }) },
          target: '.deciding',
          actions: [{ type: 'takeDrain', params: ({ event }) => ({ request: event }) }, startDrainDeadline],
        },
        { target: '.deciding', actions: { type: 'takeDrain', params: ({ event }) => ({ request: event }) } },
      ],
      'shutdown.request': {
        target: '.deciding',
        actions: [{ type: 'takeShutdown', params: ({ event }) => ({ request: event }) }],
      },
      'drain.deadlineReached': { target: '.deciding', actions: 'force' },
      'undrain.request': [
        { guard: 'drainMayBeTakenBack', target: '#miglet.lifecycle.registering', actions: takeBack },
        refuseUndrain,
      ],
      'register.request': {
        actions: {
          type: 'settle',
          params: ({ context, event }) => ({
            commandId: event.registration.commandId,
            result: failure(
              context.ending === undefined
                ? 'the VM is draining: undrain it first, or wait until it is drained'
                : 'the VM is shutting down: it takes no registration',
            ),
          }),
        },
      },
    },
  });
}
