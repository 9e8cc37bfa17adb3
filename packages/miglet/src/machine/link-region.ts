import { messageOf, reasonOf } from './describe.js';
import type { MachineParts } from './setup.js';

/** The announcement and the stream to the controller. */
export function createLinkRegion({ machineSetup, beatLater }: MachineParts) {
  return machineSetup.createStateConfig({
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
}
