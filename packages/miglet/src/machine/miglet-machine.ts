/**
 * The MIGlet's machine: what one VM does, from its boot to its end.
 *
 *   lifecycle   booting -> registering -> ready -> draining -> shutdown -> ended
 *                 registering  clearing -> connecting -> awaitingCommand -> configuring -> starting; backingOff
 *                 ready        idle <-> busy
 *                 draining     deregistering (finishingJob, waitingToAsk) -> stoppingRunner -> drained
 *                 shutdown     flushing -> (poweringOff) -> done
 *   link        announcing (asking, waiting) -> open (connecting -> online) -> backingOff -> open; closed
 *   runner      none -> alive (starting -> idle <-> busy) -> none; closed
 *
 * Three regions side by side. The link never moves the lifecycle: a VM whose controller is away goes on as it is. The
 * runner region is the witness of the runner's process and its job; the lifecycle decides by what it says (I5): a job is
 * ended by `force` or by the drain's deadline, and by nothing else. An idle runner is stopped only when its registration is
 * deleted, because until then GitHub may be handing it a job.
 *
 * No I/O here: sockets, processes and files live in the actors and effects that are handed in. Every time is a named delay.
 */
import { raise } from 'xstate';
import {
  describeExit,
  endingOf,
  exitData,
  failure,
  jobData,
  messageOf,
  reasonOf,
  refusal,
  registrationOf,
  success,
} from './describe.js';
import { createMachineSetup } from './setup.js';
import type { MigletEffects } from './types.js';

export type MigletMachine = ReturnType<typeof createMigletMachine>;

export function createMigletMachine(effects: MigletEffects) {
  const { machineSetup, startDrainDeadline, stopDrainDeadlines, beatLater } = createMachineSetup(effects);

  /**
   * How a runner is taken out of service without ending a job (I5); used by a drain, and for a runner that an earlier
   * process of the MIGlet left behind.
   *
   * @param end the state, beside these, that follows when neither process nor registration is left
   */
  function retirement<const End extends string>(end: End) {
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
            guard: { type: 'outcomeIs', params: ({ event }) => ({ actual: event.output.outcome, wanted: 'deleted' }) },
            target: 'deciding',
            actions: 'loseRunner',
          },
          {
            guard: { type: 'outcomeIs', params: ({ event }) => ({ actual: event.output.outcome, wanted: 'notManaged' }) },
            target: 'deciding',
            actions: 'loseRunner',
          },
          {
            target: 'refused',
            actions: { type: 'countDeregisterFailure', params: ({ event }) => ({ reason: event.output.message }) },
          },
        ],
        onError: {
          target: 'refused',
          actions: { type: 'countDeregisterFailure', params: ({ event }) => ({ reason: messageOf(event.error) }) },
        },
      },
      on: { 'runner.exited': 'deciding' },
      after: {
        deregisterTimeout: {
          target: 'refused',
          actions: { type: 'countDeregisterFailure', params: { reason: 'the controller did not answer in time' } },
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
      entry: ['expectExit', 'stopRunner'],
      // A job that came in nevertheless is not killed (I5).
      on: { 'runner.exited': 'deciding', 'job.started': 'deciding' },
      after: { stopGrace: { actions: 'killRunner' } },
    });
    return { deciding, deregistering, refused, finishingJob, waitingToAsk, stoppingRunner };
  }

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
      clearing: { initial: 'deciding', states: { ...retirement('cleared'), cleared: { type: 'final' } }, onDone: 'connecting' },
      connecting: { always: { guard: 'linkUp', target: 'awaitingCommand' } },
      awaitingCommand: { always: { guard: 'hasRegistration', target: 'configuring' } },
      configuring: {
        entry: 'mayBeRegistered',
        invoke: {
          src: 'configureRunner',
          input: ({ context }) => ({ registration: registrationOf(context) }),
          onDone: [
            {
              guard: { type: 'outcomeIs', params: ({ event }) => ({ actual: event.output.kind, wanted: 'ok' }) },
              target: 'starting',
            },
            {
              guard: { type: 'outcomeIs', params: ({ event }) => ({ actual: event.output.kind, wanted: 'fatal' }) },
              target: 'backingOff',
              actions: [
                { type: 'countRegistrationFailure', params: ({ event }) => ({ reason: reasonOf(event.output) }) },
                { type: 'settle', params: ({ context }) => refusal(context) },
                'dropRegistration',
              ],
            },
            {
              target: 'backingOff',
              actions: { type: 'countRegistrationFailure', params: ({ event }) => ({ reason: reasonOf(event.output) }) },
            },
          ],
          onError: {
            target: 'backingOff',
            actions: { type: 'countRegistrationFailure', params: ({ event }) => ({ reason: messageOf(event.error) }) },
          },
        },
        after: {
          configureTimeout: {
            target: 'backingOff',
            actions: { type: 'countRegistrationFailure', params: { reason: 'config.sh did not end in time' } },
          },
        },
      },
      starting: {
        entry: { type: 'startRunner', params: ({ context }) => ({ registration: context.registration }) },
        on: {
          'runner.listening': '#miglet.lifecycle.ready',
          'runner.exited': {
            target: 'backingOff',
            actions: {
              type: 'countRegistrationFailure',
              params: ({ event }) => ({ reason: `the runner ended before it listened (${describeExit(event)})` }),
            },
          },
        },
        after: {
          startTimeout: [
            {
              guard: 'lastRegistrationAttempt',
              target: '#miglet.lifecycle.draining',
              actions: [
                { type: 'countRegistrationFailure', params: { reason: 'the runner did not listen for jobs in time' } },
                { type: 'fail', params: ({ context }) => ({ reason: context.note }) },
              ],
            },
            {
              target: 'clearing',
              actions: [
                { type: 'countRegistrationFailure', params: { reason: 'the runner did not listen for jobs in time' } },
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
          result: success('the runner is registered and listens for jobs', { runner_name: context.runner?.name ?? '' }),
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
      ...retirement('drained'),
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
        actions: {
          type: 'settle',
          params: ({ event }) => ({ commandId: event.commandId, result: success('the MIGlet is ending already') }),
        },
      },
    },
  });

  const lifecycle = machineSetup.createStateConfig({
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

  const link = machineSetup.createStateConfig({
    initial: 'announcing',
    on: { 'lifecycle.ended': '.closed' },
    states: {
      announcing: {
        initial: 'asking',
        states: {
          asking: {
            invoke: {
              src: 'announce',
              onDone: [
                {
                  guard: { type: 'outcomeIs', params: ({ event }) => ({ actual: event.output.kind, wanted: 'ok' }) },
                  target: 'acknowledged',
                },
                {
                  guard: { type: 'outcomeIs', params: ({ event }) => ({ actual: event.output.kind, wanted: 'fatal' }) },
                  target: 'refused',
                  actions: { type: 'countAnnounceFailure', params: ({ event }) => ({ reason: reasonOf(event.output) }) },
                },
                {
                  target: 'waiting',
                  actions: { type: 'countAnnounceFailure', params: ({ event }) => ({ reason: reasonOf(event.output) }) },
                },
              ],
              onError: {
                target: 'waiting',
                actions: { type: 'countAnnounceFailure', params: ({ event }) => ({ reason: messageOf(event.error) }) },
              },
            },
          },
          waiting: { after: { announceBackoff: 'asking' } },
          acknowledged: {
            entry: ['resetAnnounceFailures', machineSetup.raise({ type: 'announced' })],
            always: '#miglet.link.open',
          },
          refused: {
            entry: machineSetup.raise(({ context }) => ({ type: 'announce.refused', reason: context.note })),
            after: { announceBackoff: 'asking' },
          },
        },
      },
      open: {
        invoke: { src: 'link', onError: { target: 'backingOff' } },
        initial: 'connecting',
        states: {
          connecting: {
            on: {
              'link.up': [
                {
                  guard: { type: 'isTrue', params: ({ event }) => ({ value: event.announceAgain }) },
                  target: '#miglet.link.announcing',
                },
                {
                  target: 'online',
                  actions: {
                    type: 'takeHeartbeatInterval',
                    params: ({ event }) => ({ intervalMs: event.heartbeatIntervalMs }),
                  },
                },
              ],
            },
            after: { connectTimeout: '#miglet.link.backingOff' },
          },
          online: {
            entry: ['linkIsUp', machineSetup.raise({ type: 'heartbeat.due' })],
            exit: 'linkIsDown',
            on: { 'heartbeat.due': { actions: ['sendHeartbeat', beatLater] } },
            after: { minimumUptime: { actions: 'resetLinkFailures' } },
          },
        },
        on: { 'link.down': 'backingOff' },
      },
      backingOff: { entry: 'countLinkFailure', after: { reconnectDelay: 'open' } },
      closed: { type: 'final' },
    },
  });

  const runner = machineSetup.createStateConfig({
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
              'job.finished': {
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
            },
          },
        },
        on: {
          'job.started': {
            target: '.busy',
            actions: [
              { type: 'takeJob', params: ({ event }) => ({ job: event.job }) },
              { type: 'emitEvent', params: ({ event }) => ({ type: 'job_started', data: jobData(event.job) }) },
            ],
          },
          'runner.exited': [
            {
              guard: { type: 'endedWell', params: ({ event }) => ({ exit: event }) },
              target: 'none',
              actions: [
                { type: 'emitEvent', params: ({ event }) => ({ type: 'runner_exited', data: exitData(event) }) },
                'loseProcess',
              ],
            },
            {
              target: 'none',
              actions: [
                {
                  type: 'emitEvent',
                  params: ({ event, context }) => ({
                    type: 'runner_crashed',
                    data: { ...exitData(event), ...(context.job === undefined ? {} : { job: context.job.name }) },
                  }),
                },
                'loseProcess',
              ],
            },
          ],
        },
      },
      closed: { type: 'final' },
    },
  });

  return machineSetup.createMachine({
    id: 'miglet',
    type: 'parallel',
    context: ({ input }) => ({
      settings: input.settings,
      limits: input.limits,
      random: input.random,
      announceFailures: 0,
      linkFailures: 0,
      linkUp: false,
      askedHeartbeatMs: 0,
      registration: undefined,
      registrationFailures: 0,
      runner: undefined,
      processAlive: false,
      stopRequested: false,
      job: undefined,
      deregisterFailures: 0,
      drain: input.drained
        ? { reason: 'drained before the MIGlet was restarted', deadlinesMs: [], commandIds: [] }
        : undefined,
      forced: false,
      ending: undefined,
      shutdownCommandIds: [],
      note: '',
    }),
    // The runner outlives every state of the lifecycle.
    invoke: {
      id: 'runner',
      src: 'runner',
      // Whoever watched the process has failed: nothing more is known of it. A job that runs is left alone (I5).
      onError: { actions: raise({ type: 'runner.exited', code: undefined, signal: undefined }) },
    },
    states: { runner, lifecycle, link },
    on: {
      // Heard where they matter; elsewhere there is nothing to do.
      announced: {},
      'announce.refused': {},
      'heartbeat.due': {},
      'settings.update': {
        actions: [
          { type: 'updateSettings', params: ({ event }) => ({ settings: event.settings }) },
          {
            type: 'settle',
            params: ({ event }) => ({ commandId: event.commandId, result: success('the settings are changed') }),
          },
          machineSetup.raise({ type: 'heartbeat.due' }),
        ],
      },
    },
    output: ({ context }) => endingOf(context),
  });
}
