import { durationText, messageOf, reasonOf } from './describe.js';
import type { MachineParts } from './setup.js';

/** The announcement and the stream to the controller. */
export function createLinkRegion({ machineSetup, beatLater, beatEarly, fenceLater, fenceNot }: MachineParts) {
  return machineSetup.createStateConfig({
    initial: 'announcing',
    entry: fenceLater,
    on: {
      'lifecycle.ended': '.closed',
      'link.missed': {
        guard: 'mustFence',
        // Its job takes as long as it takes: nobody asked for its end (I5). Taken back by an operator, not by the link's return.
        actions: machineSetup.raise(({ context }) => ({
          type: 'drain.request',
          commandId: undefined,
          reason: `the controller was not reached for ${durationText(context.limits.fenceAfterMs)}`,
          deadlineMs: 0,
          force: false,
        })),
      },
    },
    states: {
      announcing: {
        initial: 'asking',
        states: {
          asking: {
            invoke: {
              src: 'announce',
              onDone: [
                {
                  guard: {
                    type: 'outcomeIs',
                    params: ({ event }) => ({ actual: event.output.kind, wanted: 'ok' }),
                  },
                  target: 'acknowledged',
                },
                {
                  guard: {
                    type: 'outcomeIs',
                    params: ({ event }) => ({ actual: event.output.kind, wanted: 'fatal' }),
                  },
                  target: 'refused',
                  actions: {
                    type: 'countAnnounceFailure',
                    params: ({ event }) => ({ reason: reasonOf(event.output) }),
                  },
                },
                {
                  target: 'waiting',
                  actions: {
                    type: 'countAnnounceFailure',
                    params: ({ event }) => ({ reason: reasonOf(event.output) }),
                  },
                },
              ],
              onError: {
                target: 'waiting',
                actions: {
                  type: 'countAnnounceFailure',
                  params: ({ event }) => ({ reason: messageOf(event.error) }),
                },
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
                  // After a wait: a controller that never learns is not asked without pause.
                  target: '#miglet.link.announcing.waiting',
                  actions: {
                    type: 'countAnnounceFailure',
                    params: { reason: 'the controller does not know this boot' },
                  },
                },
                {
                  target: 'online',
                  actions: [
                    {
                      type: 'takeHeartbeatPolicy',
                      params: ({ event }) => ({ intervalMs: event.heartbeatIntervalMs }),
                    },
                    {
                      type: 'takeReconnectWindow',
                      params: ({ event }) => ({ windowMs: event.reconnectWindowMs }),
                    },
                  ],
                },
              ],
            },
            after: { connectTimeout: '#miglet.link.backingOff' },
          },
          online: {
            entry: ['linkIsUp', fenceNot, machineSetup.raise({ type: 'heartbeat.due' })],
            exit: ['linkIsDown', fenceLater],
            on: {
              'heartbeat.due': { actions: ['sendHeartbeat', beatLater] },
              'heartbeat.policy': {
                actions: [
                  { type: 'takeHeartbeatPolicy', params: ({ event }) => ({ intervalMs: event.intervalMs }) },
                  beatEarly,
                ],
              },
              // Not a failure: the next stream is opened as if there had been none.
              'link.reconnect': {
                target: '#miglet.link.toldToWait',
                actions: { type: 'takeReconnect', params: ({ event }) => ({ afterMs: event.afterMs }) },
              },
            },
            after: { minimumUptime: { actions: 'resetLinkFailures' } },
          },
        },
        on: { 'link.down': 'backingOff' },
      },
      toldToWait: { after: { toldReconnect: 'open' } },
      backingOff: { entry: 'countLinkFailure', after: { reconnectDelay: 'open' } },
      closed: { type: 'final' },
    },
  });
}
