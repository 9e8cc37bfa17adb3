/**
 * What one job has to report: its output as it comes, in order and once, and its end. What the controller does not answer is
 * sent again until it does. Output that it does not take holds the job up (I12).
 */
import { backoffDelayMs } from '@mig/common/backoff';
import type { Clock } from '@mig/common/clock';
import type { JobOutputText, NodeAnswer, StatusUpdate } from '@mig/common/domain/node-messages';
import type { TaskOutput } from '../tasks/task-output.js';

export interface JobReport {
  /** Where a task of the job writes. */
  outputOf(task: string): TaskOutput;
  /** Resolves when the controller has it. */
  begin(): Promise<void>;
  /** Resolves when the controller has all, or says that the job is not this node's any more. */
  end(status: 'completed' | 'failed', detail: string, exitCode: number): Promise<void>;
}

export interface JobReportDeps {
  readonly send: (update: StatusUpdate) => Promise<NodeAnswer>;
  readonly clock: Clock;
  readonly random: () => number;
  /** The controller says that the job is not this node's: nothing more is reported. */
  readonly onRefused: (message: string) => void;
}

/** Output waits at most so long for more. */
const GATHER_MS = 500;
/** It is sent at once when there is so much. */
const BATCH_BYTES = 64 * 1024;
/** A task waits when so much was not taken. */
const MAX_WAITING_BYTES = 256 * 1024;
const BACKOFF = { firstMs: 500, maxMs: 10_000 };

export function createJobReport(
  deps: JobReportDeps,
  job: { readonly nodeId: string; readonly jobId: string; readonly attempt: number },
): JobReport {
  const { clock } = deps;
  let waiting: JobOutputText[] = [];
  let waitingBytes = 0;
  let sequence = 0;
  let refused = false;
  let timer: unknown;
  let sending: Promise<void> = Promise.resolve();
  const listeners = new Set<() => void>();

  async function deliver(
    update: Omit<StatusUpdate, 'nodeId' | 'jobId' | 'attempt' | 'timestamp'>,
  ): Promise<void> {
    for (let attempt = 0; !refused; attempt += 1) {
      try {
        const timestamp = Math.floor(clock.now() / 1_000);
        const answer = await deps.send({ ...job, ...update, timestamp });
        if (answer.ok) return;
        refused = true;
        deps.onRefused(answer.message);
      } catch {
        // The controller is away, or could not store it.
        await new Promise<void>((resolve) => {
          clock.setTimer(resolve, backoffDelayMs(BACKOFF, attempt, deps.random));
        });
      }
    }
  }

  function flush(): Promise<void> {
    clock.clearTimer(timer);
    timer = undefined;
    sending = sending.then(async () => {
      if (waiting.length === 0) return;
      const output = waiting;
      waiting = [];
      sequence += 1;
      await deliver({ status: 'running', detail: '', output, outputSequence: sequence, exitCode: 0 });
      waitingBytes -= output.reduce((sum, { stdout, stderr }) => sum + stdout.length + stderr.length, 0);
      for (const listener of [...listeners]) listener();
    });
    return sending;
  }

  return {
    outputOf: (task) => ({
      async write(stream, data) {
        if (refused) return;
        const text = Buffer.from(data).toString();
        waiting.push({
          task,
          stdout: stream === 'stdout' ? text : '',
          stderr: stream === 'stderr' ? text : '',
        });
        waitingBytes += text.length;
        if (waitingBytes >= BATCH_BYTES) void flush();
        else timer ??= clock.setTimer(() => void flush(), GATHER_MS);
        while (waitingBytes > MAX_WAITING_BYTES && !refused) {
          await new Promise<void>((resolve) => {
            const done = (): void => {
              listeners.delete(done);
              resolve();
            };
            listeners.add(done);
          });
        }
      },
    }),
    begin: () => deliver({ status: 'running', detail: '', output: [], outputSequence: 0, exitCode: 0 }),
    async end(status, detail, exitCode) {
      await flush();
      await deliver({ status, detail, output: [], outputSequence: sequence + 1, exitCode });
    },
  };
}
