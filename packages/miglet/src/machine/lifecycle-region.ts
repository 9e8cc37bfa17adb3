import { describeExit, endingOf, failure, hangData, leftData, success } from './describe.js';
import { createDrainingState } from './draining-state.js';
import { createRegisteringState } from './registering-state.js';
import type { MachineParts } from './setup.js';
import { createUndraining } from './undraining.js';

/** What operators see: the VM from its boot to its end. */
export function createLifecycleRegion(parts: MachineParts) {
  const { machineSetup, remember } = parts;
  const { takeBack, refuseUndrain } = createUndraining(parts);

  const booting = machineSetup.createStateConfig({
    on: {
      announced: [{ guard: 'drainWanted', target: 'draining' }, { target: 'registering' }],
      'announce.refused': [
        {
          // Left by an earlier process of the MIGlet: it is taken out of service first, and its job ends (I5).
          guard: 'processAlive',
          target: 'draining',
          actions: { type: 'fail', params: ({ event }) => ({ reason: event.reason }) },
        },
        {
          target: 'shutdown',
          actions: { type: 'fail', params: ({ event }) => ({ reason: event.reason }) },
        },
      ],
      // Drained before the MIGlet was restarted.
      'undrain.request': { guard: 'drainMayBeTakenBack', actions: takeBack },
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
      'register.request': [
        {
          guard: {
            type: 'asksToReplaceBusy',
            params: ({ event }) => ({ registration: event.registration }),
          },
          actions: {
            type: 'settle',
            params: ({ context, event }) => ({
              commandId: event.registration.commandId,
              result: failure(
                context.job === undefined
                  ? 'the runner is being updated, or started again: it is not replaced'
                  : `job ${context.job.name} runs: the runner is not replaced`,
                'busy',
              ),
            }),
          },
        },
        {
          // The controller found that GitHub does not have it, or never hears it: no job can come to it.
          guard: { type: 'asksToReplace', params: ({ event }) => ({ registration: event.registration }) },
          target: 'registering',
          actions: [
            {
              type: 'emitEvent',
              params: ({ context }) => ({
                type: 'runner_hung',
                data: hangData(
                  context,
                  'deregistered',
                  'the controller found no such runner at GitHub, or one that it never hears: it is replaced',
                ),
              }),
            },
            { type: 'takeRegistration', params: ({ event }) => ({ registration: event.registration }) },
            remember,
          ],
        },
        {
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
      ],
      'runner.hung': {
        // Whether it is still a job, GitHub says (I5): the runner is taken out as one that an earlier MIGlet left.
        guard: { type: 'hangIs', params: ({ event }) => ({ hang: event.hang, wanted: 'worker_lingers' }) },
        target: 'registering',
      },
      'runner.exited': [
        {
          guard: { type: 'endsService', params: ({ event }) => ({ exit: event }) },
          target: 'draining',
          actions: { type: 'fail', params: ({ event }) => ({ reason: describeExit(event) }) },
        },
        {
          guard: { type: 'registersAtOnce', params: ({ event }) => ({ exit: event }) },
          target: 'registering',
          actions: [
            { type: 'loseGoneRunner', params: ({ event }) => ({ exit: event }) },
            remember,
            'resetRegistrationFailures',
          ],
        },
        {
          target: 'registering.backingOff',
          actions: [
            { type: 'loseGoneRunner', params: ({ event }) => ({ exit: event }) },
            remember,
            {
              type: 'countRegistrationFailure',
              params: ({ event }) => ({
                reason: event.verdict?.reason ?? `the runner crashed (${describeExit(event)})`,
              }),
            },
          ],
        },
      ],
    },
  });

  const shutdown = machineSetup.createStateConfig({
    entry: [
      'rememberEnded',
      {
        type: 'emitEvent',
        params: ({ context }) => ({
          type: 'vm_shutting_down',
          data: {
            outcome: endingOf(context).outcome,
            reason: endingOf(context).reason,
            ...leftData(context),
          },
        }),
      },
      {
        type: 'settleAll',
        params: ({ context }) => ({
          commandIds: context.shutdownCommandIds,
          result: success(`the MIGlet ends (${endingOf(context).outcome})`, leftData(context)),
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
      'undrain.request': refuseUndrain,
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
      registering: createRegisteringState(parts),
      ready,
      draining: createDrainingState(parts),
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
      'undrain.request': {
        actions: {
          type: 'settle',
          params: ({ event }) => ({
            commandId: event.commandId,
            result: success('not draining: there is nothing to take back'),
          }),
        },
      },
      'register.request': {
        actions: {
          type: 'settle',
          params: ({ event }) => ({
            commandId: event.registration.commandId,
            result: failure('the VM boots, or is shutting down: it takes no registration'),
          }),
        },
      },
    },
  });
}
