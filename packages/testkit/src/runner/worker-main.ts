/**
 * The process `bin/Runner.Worker` of a stand-in runner: runs one job, which the listener sends, and exits with 100 plus
 * its result. It ignores SIGINT, and takes SIGTERM as the listener's word to cancel (github-facts 1.6). If the listener
 * is gone, the job ends with it, unless a fault says otherwise.
 */
import path from 'node:path';
import { toExitCode } from './exit-codes.js';
import { createTerminal } from './terminal.js';
import { runJob } from './worker-job.js';
import type { WorkerReport, WorkerRequest } from './worker-protocol.js';

const root = path.resolve(path.dirname(process.argv[1] ?? ''), '..');
const cancelled = new AbortController();
let outlives = false;

process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => cancelled.abort());
process.on('disconnect', () => {
  if (!outlives) cancelled.abort();
});
process.on('message', (request: WorkerRequest) => {
  switch (request.type) {
    case 'cancel':
      cancelled.abort();
      break;
    case 'job':
      outlives = request.outlives;
      void run(request);
      break;
  }
});
if (process.send === undefined) {
  process.stderr.write('Runner.Worker has no listener: it is started by Runner.Listener, not by hand\n');
  process.exitCode = 1;
}

async function run(request: Extract<WorkerRequest, { type: 'job' }>): Promise<void> {
  const terminal = createTerminal({
    root,
    who: 'Worker',
    env: { ...process.env, ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT: '' },
  });
  terminal.trace('Worker', `Job ${request.job.id} received`);
  const result = await runJob({ ...request, env: process.env, signal: cancelled.signal, terminal });
  if (process.connected) process.send?.({ result } satisfies WorkerReport);
  if (request.lingers) {
    // The channel to the listener keeps it alive; without one it has to do that itself.
    if (request.outlives) setInterval(() => undefined, 60_000);
    return;
  }
  process.exit(toExitCode(result));
}
