import { describeExit, failure, messageOf, reasonOf, refusal, registrationOf } from './describe.js';
import { retirement } from './retirement.js';
import type { MachineParts } from './setup.js';
import type { RunnerExited } from './types.js';

/** From an unregistered VM to a runner that listens for jobs. Begins with what must be cleared away first. */
export function createRegisteringState(parts: MachineParts) {
  const { machineSetup, remember } = parts;

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

  const endedEarly = (exit: RunnerExited): { reason: string } => ({
    reason: `the runner ended before it listened (${describeExit(exit)})`,
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
          remember,
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
        // On disk before GitHub can know it: whatever becomes of the MIGlet, the next one has it deleted.
        entry: ['mayBeRegistered', remember],
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
          'runner.exited': [
            {
              guard: { type: 'endsService', params: ({ event }) => ({ exit: event }) },
              target: '#miglet.lifecycle.draining',
              actions: { type: 'fail', params: ({ event }) => ({ reason: describeExit(event) }) },
            },
            {
              guard: { type: 'spendsRegistration', params: ({ event }) => ({ exit: event }) },
              target: 'backingOff',
              actions: [
                { type: 'loseGoneRunner', params: ({ event }) => ({ exit: event }) },
                { type: 'countRegistrationFailure', params: ({ event }) => endedEarly(event) },
                { type: 'settle', params: ({ context }) => refusal(context) },
                'dropRegistration',
                remember,
              ],
            },
            {
              target: 'backingOff',
              actions: { type: 'countRegistrationFailure', params: ({ event }) => endedEarly(event) },
            },
          ],
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
            // What is registered is deleted first: the next runner has another name.
            { target: 'clearing' },
          ],
        },
      },
    },
  });
}
