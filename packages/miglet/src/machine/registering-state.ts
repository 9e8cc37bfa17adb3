import { describeExit, failure, messageOf, reasonOf, refusal, registrationOf } from './describe.js';
import { retirement } from './retirement.js';
import type { MachineParts } from './setup.js';

/** From an unregistered VM to a runner that listens for jobs. Begins with what must be cleared away first. */
export function createRegisteringState(parts: MachineParts) {
  const { machineSetup } = parts;

  /** One at a time: its parameters are what `config.sh` was given, so a newer one cannot take its place half way. */
  const refuseNewer = machineSetup.createStateConfig({
    on: {
      'register.request': {
        actions: {
          type: 'settle',
          params: ({ event }) => ({
            commandId: event.registration.commandId,
            result: failure('a registration is under way: ask again when it has ended'),
          }),
        },
      },
    },
  });

  return machineSetup.createStateConfig({
    initial: 'clearing',
    on: {
      // Early: it is carried out when what went before is cleared away.
      'register.request': {
        actions: [
          {
            type: 'settle',
            params: ({ context }) => ({
              commandId: context.registration?.commandId,
              result: failure('a newer registration took its place'),
            }),
          },
          { type: 'takeRegistration', params: ({ event }) => ({ registration: event.registration }) },
        ],
      },
    },
    states: {
      clearing: {
        initial: 'deciding',
        states: { ...retirement(parts, 'cleared'), cleared: { type: 'final' } },
        onDone: { target: 'connecting', actions: 'forgetUndrain' },
      },
      connecting: { always: { guard: 'linkUp', target: 'awaitingCommand' } },
      awaitingCommand: { always: { guard: 'hasRegistration', target: 'configuring' } },
      configuring: {
        ...refuseNewer,
        entry: 'mayBeRegistered',
        invoke: {
          src: 'configureRunner',
          input: ({ context }) => ({ registration: registrationOf(context) }),
          onDone: [
            {
              guard: {
                type: 'outcomeIs',
                params: ({ event }) => ({ actual: event.output.kind, wanted: 'ok' }),
              },
              target: 'starting',
            },
            {
              guard: {
                type: 'outcomeIs',
                params: ({ event }) => ({ actual: event.output.kind, wanted: 'fatal' }),
              },
              target: 'backingOff',
              actions: [
                {
                  type: 'countRegistrationFailure',
                  params: ({ event }) => ({ reason: reasonOf(event.output) }),
                },
                { type: 'settle', params: ({ context }) => refusal(context) },
                'dropRegistration',
              ],
            },
            {
              target: 'backingOff',
              actions: {
                type: 'countRegistrationFailure',
                params: ({ event }) => ({ reason: reasonOf(event.output) }),
              },
            },
          ],
          onError: {
            target: 'backingOff',
            actions: {
              type: 'countRegistrationFailure',
              params: ({ event }) => ({ reason: messageOf(event.error) }),
            },
          },
        },
        after: {
          configureTimeout: {
            target: 'backingOff',
            actions: {
              type: 'countRegistrationFailure',
              params: { reason: 'config.sh did not end in time' },
            },
          },
        },
      },
      starting: {
        entry: { type: 'startRunner', params: ({ context }) => ({ registration: context.registration }) },
        on: {
          ...refuseNewer.on,
          'runner.listening': '#miglet.lifecycle.ready',
          'runner.exited': {
            target: 'backingOff',
            actions: {
              type: 'countRegistrationFailure',
              params: ({ event }) => ({
                reason: `the runner ended before it listened (${describeExit(event)})`,
              }),
            },
          },
        },
        after: {
          startTimeout: [
            {
              guard: 'lastRegistrationAttempt',
              target: '#miglet.lifecycle.draining',
              actions: [
                {
                  type: 'countRegistrationFailure',
                  params: { reason: 'the runner did not listen for jobs in time' },
                },
                { type: 'fail', params: ({ context }) => ({ reason: context.note }) },
              ],
            },
            {
              target: 'clearing',
              actions: [
                {
                  type: 'countRegistrationFailure',
                  params: { reason: 'the runner did not listen for jobs in time' },
                },
                { type: 'settle', params: ({ context }) => refusal(context) },
                'dropRegistration',
              ],
            },
          ],
        },
      },
      backingOff: {
        always: {
          guard: 'registrationExhausted',
          target: '#miglet.lifecycle.draining',
          actions: { type: 'fail', params: ({ context }) => ({ reason: context.note }) },
        },
        after: {
          registrationBackoff: [
            { guard: 'hasRegistration', target: 'configuring' },
            { target: 'connecting', actions: 'loseRunner' },
          ],
        },
      },
    },
  });
}
