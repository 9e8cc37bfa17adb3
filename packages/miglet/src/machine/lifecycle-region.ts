import {
  describeExit,
  endingOf,
  failure,
  messageOf,
  reasonOf,
  refusal,
  registrationOf,
  success,
} from './describe.js';
import { retirement } from './retirement.js';
import type { MachineParts } from './setup.js';

/** What operators see: the VM from its boot to its end. */
export function createLifecycleRegion(parts: MachineParts) {
  const { machineSetup, startDrainDeadline, stopDrainDeadlines } = parts;

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

  const booting = machineSetup.createStateConfig({
    on: {
      announced: [{ guard: 'drainWanted', target: 'draining' }, { target: 'registering' }],
      'announce.refused': {
        target: 'shutdown',
        actions: { type: 'fail', params: ({ event }) => ({ reason: event.reason }) },
      },
    },
  });

  const registering = machineSetup.createStateConfig({
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
        onDone: 'connecting',
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

  const ready = machineSetup.createStateConfig({
    entry: [
      {
        type: 'emitEvent',
        params: ({ context }) => ({
          type: 'runner_registered',
          data: { runner_name: context.runner?.name ?? '', labels: (context.runner?.labels ?? []).join(',') },
        }),
      },
      {
        type: 'settle',
        params: ({ context }) => ({
          commandId: context.registration?.commandId,
          result: success('the runner is registered and listens for jobs', {
            runner_name: context.runner?.name ?? '',
          }),
        }),
      },
      'dropRegistration',
      { type: 'note', params: { note: '' } },
    ],
    initial: 'idle',
    states: {
      idle: { on: { 'job.started': 'busy' } },
      busy: { on: { 'job.finished': 'idle' } },
    },
    after: { stableReady: { actions: 'resetRegistrationFailures' } },
    on: {
      'register.request': {
        actions: {
          type: 'settle',
          params: ({ context, event }) => ({
            commandId: event.registration.commandId,
            result: success(`already registered as ${context.runner?.name ?? ''}`, {
              runner_name: context.runner?.name ?? '',
            }),
          }),
        },
      },
      'runner.exited': [
        {
          guard: { type: 'endedWell', params: ({ event }) => ({ exit: event }) },
          target: 'registering.connecting',
          actions: ['loseRunner', 'resetRegistrationFailures'],
        },
        {
          target: 'registering.backingOff',
          actions: {
            type: 'countRegistrationFailure',
            params: ({ event }) => ({ reason: `the runner crashed (${describeExit(event)})` }),
          },
        },
      ],
    },
  });

  const draining = machineSetup.createStateConfig({
    entry: [
      {
        type: 'settle',
        params: ({ context }) => ({
          commandId: context.registration?.commandId,
          result: failure(context.note === '' ? 'the VM is drained instead' : context.note),
        }),
      },
      'dropRegistration',
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
              result: success(context.forced ? 'drained by force' : 'drained'),
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
    },
  });

  const shutdown = machineSetup.createStateConfig({
    entry: [
      'rememberEnded',
      {
        type: 'emitEvent',
        params: ({ context }) => ({
          type: 'vm_shutting_down',
          data: { outcome: endingOf(context).outcome, reason: endingOf(context).reason },
        }),
      },
      {
        type: 'settleAll',
        params: ({ context }) => ({
          commandIds: context.shutdownCommandIds,
          result: success(`the MIGlet ends (${endingOf(context).outcome})`),
        }),
      },
    ],
    initial: 'flushing',
    states: {
      flushing: {
        invoke: { src: 'flush', onDone: 'flushed', onError: 'flushed' },
        after: { flushTimeout: 'flushed' },
      },
      flushed: { always: [{ guard: 'poweroffWanted', target: 'poweringOff' }, { target: 'done' }] },
      poweringOff: { invoke: { src: 'powerOff', onDone: 'done', onError: 'done' } },
      done: { type: 'final' },
    },
    onDone: 'ended',
    on: {
      'drain.request': {
        actions: {
          type: 'settle',
          params: ({ event }) => ({
            commandId: event.commandId,
            result: success('the MIGlet is ending: the VM takes no more jobs'),
          }),
        },
      },
      'shutdown.request': {
        actions: [
          { type: 'wantPoweroff', params: ({ event }) => ({ poweroff: event.poweroff }) },
          {
            type: 'settle',
            params: ({ event }) => ({
              commandId: event.commandId,
              result: success('the MIGlet is ending already'),
            }),
          },
        ],
      },
    },
  });

  return machineSetup.createStateConfig({
    initial: 'booting',
    states: {
      booting,
      registering,
      ready,
      draining,
      shutdown,
      ended: { type: 'final', entry: machineSetup.raise({ type: 'lifecycle.ended' }) },
    },
    on: {
      'drain.request': {
        target: '.draining',
        actions: { type: 'takeDrain', params: ({ event }) => ({ request: event }) },
      },
      'shutdown.request': {
        target: '.draining',
        actions: { type: 'takeShutdown', params: ({ event }) => ({ request: event }) },
      },
      'register.request': {
        actions: {
          type: 'settle',
          params: ({ event }) => ({
            commandId: event.registration.commandId,
            result: failure('the VM is draining or shutting down: it takes no registration'),
          }),
        },
      },
    },
  });
}
