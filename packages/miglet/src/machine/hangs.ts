/**
 * What the machine does about a runner that looks alive and does nothing.
 *
 *   no_job_after_acknowledge   no job has begun: it is killed, and the VM registers anew
 *   worker_lingers             a job may still be there: GitHub is asked (retirement.ts), and only its word ends the runner (I5)
 *   deregistered               the controller found it: its registration that is to replace the runner says so
 */
import { enqueueActions } from 'xstate';
import { hangData } from './describe.js';
import type { MachineVocabulary } from './setup.js';

export function createHangs(machineSetup: MachineVocabulary) {
  const takeHang = machineSetup.createAction(
    enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'runner.hung') return;
      const { hang, reason, known, process } = event;
      const data = hangData(context, hang, reason, process);
      if (known !== true) enqueue({ type: 'emitEvent', params: { type: 'runner_hung', data } });
      enqueue(hang === 'worker_lingers' ? 'linger' : 'killRunner');
    }),
  );
  return { takeHang };
}
