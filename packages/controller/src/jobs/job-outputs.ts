/** What jobs wrote, as their nodes report it. */
import type { Clock } from '@mig/common/clock';
import type { StatusUpdate } from '@mig/common/domain/node-messages';
import { createOutputFlow, type OutputFlow, type OutputReader } from '../tasks/output-flow.js';
import type { OutputStore } from '../tasks/output-store.js';

export interface JobOutputs {
  /** Adds what the update brings, once; a node of the original contract has only its `detail` to say. */
  append(jobId: string, update: StatusUpdate): Promise<void>;
  read(jobId: string, from: number, isEnded: boolean): Promise<OutputReader>;
  finish(jobId: string): Promise<void>;
  remove(jobId: string): Promise<void>;
}

/** Room for the numbers of one attempt. */
const PER_ATTEMPT = 2 ** 30;

export function createJobOutputs(store: OutputStore, clock: Clock): JobOutputs {
  const flows = new Map<string, Promise<OutputFlow>>();

  function flowOf(jobId: string): Promise<OutputFlow> {
    let flow = flows.get(jobId);
    if (flow === undefined) {
      flow = store.open(jobId).then((log) => createOutputFlow(log, false, clock));
      flows.set(jobId, flow);
      flow.catch(() => flows.delete(jobId));
    }
    return flow;
  }

  return {
    async append(jobId, { output, outputSequence, attempt, detail }) {
      const texts =
        outputSequence === 0 && detail !== '' ? [{ task: '', stdout: `${detail}\n`, stderr: '' }] : output;
      if (texts.length === 0) return;
      const flow = await flowOf(jobId);
      const sequence = outputSequence === 0 ? 0 : attempt * PER_ATTEMPT + outputSequence;
      if (sequence !== 0 && sequence <= flow.log.lastSequence) return;
      for (const { stdout, stderr } of texts) {
        if (stdout !== '') await flow.append('stdout', Buffer.from(stdout), sequence);
        if (stderr !== '') await flow.append('stderr', Buffer.from(stderr), sequence);
      }
    },

    async read(jobId, from, isEnded) {
      if (!isEnded) return (await flowOf(jobId)).read(from);
      const flow = createOutputFlow(await store.open(jobId), false, clock);
      await flow.finish();
      return flow.read(from);
    },

    async finish(jobId) {
      const flow = await flows.get(jobId);
      flows.delete(jobId);
      await flow?.finish();
    },

    async remove(jobId) {
      flows.delete(jobId);
      await store.remove(jobId);
    },
  };
}
