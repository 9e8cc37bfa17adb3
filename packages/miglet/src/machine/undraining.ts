import { enqueueActions } from 'xstate';
import { RESULT_UNDRAINED } from '@mig/common/domain/command';
import { failure, messageAfterUndrain, success } from './describe.js';
import type { MachineParts } from './setup.js';

/** How a drain is taken back; what it had begun is then cleared away as in `registering.clearing`. */
export function createUndraining({ machineSetup, stopDrainDeadlines }: MachineParts) {
  /** In this order, so that a crash in between leaves the undrain to be carried out again, and never a word that was given and forgotten. */
  const takeBack = machineSetup.createAction(
    enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'undrain.request') return;
      const { commandId, reason } = event;
      enqueue(stopDrainDeadlines);
      enqueue({ type: 'rememberDrained', params: { drained: false } });
      const result = failure(`taken back: ${reason}`, RESULT_UNDRAINED);
      enqueue({ type: 'settleAll', params: { commandIds: context.drain?.commandIds ?? [], result } });
      enqueue({ type: 'settle', params: { commandId, result: success(messageAfterUndrain(context)) } });
      enqueue('takeDrainBack');
    }),
  );
  const refuseUndrain = machineSetup.createStateConfig({
    on: {
      'undrain.request': {
        actions: {
          type: 'settle',
          params: ({ event }) => ({
            commandId: event.commandId,
            result: failure('the VM is shutting down: that cannot be taken back', 'shutting-down'),
          }),
        },
      },
    },
  }).on['undrain.request'];
  return { takeBack, refuseUndrain };
}
