/**
 * The MIGlet's machine: what one VM does, from its boot to its end.
 *
 *   lifecycle   booting -> registering -> ready -> draining -> shutdown -> ended
 *                 registering  clearing -> connecting -> awaitingCommand -> configuring -> starting; backingOff
 *                 ready        idle <-> busy
 *                 draining     deregistering (finishingJob, lingering, waitingToAsk) -> stoppingRunner -> drained
 *                 shutdown     flushing -> (poweringOff) -> done
 *   link        announcing (asking, waiting) -> open (connecting -> online) -> backingOff, toldToWait -> open; closed
 *   runner      none -> alive (starting -> idle <-> busy) -> none; closed
 *
 * Three regions side by side. The link never moves the lifecycle: a VM whose controller is away goes on as it is, unless it
 * is configured to drain itself after a time (`fenceAfterMs`). The runner region is the witness of the runner's process and
 * its job; the lifecycle decides by what it says (I5): a job is ended by `force` or by the drain's deadline, and by nothing
 * else. An idle runner is stopped only when its registration is deleted, because until then GitHub may be handing it a job.
 *
 * What GitHub may know of this VM's runners is remembered on disk before it can know it, and until it is deleted: a VM that is
 * killed at any point, or could not reach GitHub, has it deleted before it registers anew or ends. What is left nevertheless is
 * said in the answer to the drain and in the last event.
 *
 * A drain that is taken back goes on in `clearing`: the runner may be fenced at GitHub already, so it is not kept, but
 * replaced, as one that an earlier process of the MIGlet left.
 *
 * No I/O here: sockets, processes and files live in the actors and effects that are handed in. Every time is a named delay.
 */
import { raise } from 'xstate';
import { DRAINED_BEFORE, endingOf, success } from './describe.js';
import { createLifecycleRegion } from './lifecycle-region.js';
import { createLinkRegion } from './link-region.js';
import { createRunnerRegion } from './runner-region.js';
import { createMachineSetup } from './setup.js';
import type { MigletEffects } from './types.js';

export type MigletMachine = ReturnType<typeof createMigletMachine>;

export function createMigletMachine(effects: MigletEffects) {
  const parts = createMachineSetup(effects);
  const { machineSetup } = parts;
  const runner = createRunnerRegion(parts);
  const lifecycle = createLifecycleRegion(parts);
  const link = createLinkRegion(parts);
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
      reconnectWindowMs: 0,
      reconnectAfterMs: 0,
      registration: undefined,
      registrationFailures: 0,
      runner: undefined,
      leftBehind: input.registeredAs,
      processAlive: false,
      stopRequested: false,
      stopping: false,
      job: undefined,
      lingering: false,
      paused: undefined,
      deregisterFailures: 0,
      drain: input.drained ? { reason: DRAINED_BEFORE, deadlinesMs: [], commandIds: [] } : undefined,
      undrained: false,
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
      'heartbeat.policy': {},
      'link.reconnect': {},
      'link.missed': {},
      'stop.graceEnded': {},
      'settings.update': {
        actions: [
          { type: 'updateSettings', params: ({ event }) => ({ settings: event.settings }) },
          {
            type: 'settle',
            params: ({ event }) => ({
              commandId: event.commandId,
              result: success('the settings are changed'),
            }),
          },
          machineSetup.raise({ type: 'heartbeat.due' }),
        ],
      },
    },
    output: ({ context }) => endingOf(context),
  });
}
