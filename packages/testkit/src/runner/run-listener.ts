/**
 * `Runner.Listener run`: opens a session, waits for jobs, runs one at a time (actions/runner
 * src/Runner.Listener/Runner.cs, `RunAsync`).
 *
 *   session -> Listening for Jobs -> (Running job … completed)* -> session deleted -> exit code
 *
 * - It goes on polling while a job runs, and a job goes on while GitHub cannot be reached.
 * - SIGINT and SIGTERM cancel the running job at once and end the listener when the worker has ended.
 * - An ephemeral runner ends after its job; one whose registration was deleted ends at its next poll. Both delete the
 *   files of their configuration.
 * - One that GitHub has put another version in its own place lets its job end first, and keeps its configuration.
 */
import type { RunnerMessage } from '../github/runner-protocol.js';
import { EXIT, toExitCode, type JobResult } from './exit-codes.js';
import { RUNNER_VERSION, USER_AGENT } from './identity.js';
import { createJobRun, type JobRun } from './job-run.js';
import type { RunnerFiles } from './runner-files.js';
import { createServiceClient } from './service-client.js';
import { openSession } from './session.js';
import { createPause } from './pause.js';
import { beginSelfUpdate, type SelfUpdate } from './self-update.js';
import type { Switches } from './switches.js';
import type { Terminal } from './terminal.js';

/** Longer than the server lets a poll wait. */
const POLL_TIMEOUT_MS = 70_000;

export interface ListenerDeps {
  readonly root: string;
  readonly files: RunnerFiles;
  readonly terminal: Terminal;
  readonly switches: Switches;
  readonly env: NodeJS.ProcessEnv;
  /** `--once`: end after one job. */
  readonly once: boolean;
}

/** Resolves to the exit code. */
export async function runListener(deps: ListenerDeps): Promise<number> {
  const { files, terminal, switches, env } = deps;
  const { settings, credential } = files.load();
  const shutdown = shutdownOnSignal(deps);
  const client = createServiceClient(settings.serverUrl, USER_AGENT);
  const authorization = `Bearer ${credential}`;
  const returnsResult = env['ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED'] === '1';
  const runOnce = settings.ephemeral || deps.once || returnsResult;
  const pause = createPause(shutdown);

  if (switches.takeFault('crash-on-start') !== undefined) process.kill(process.pid, 'SIGKILL');
  const exitCode = switches.takeFault('exit');
  if (exitCode !== undefined) return exitCode;
  if (switches.takeFault('version-deprecated') !== undefined) {
    terminal.error(
      `An error occured: Runner version v${RUNNER_VERSION} is deprecated and cannot receive messages.`,
    );
    const asked = env['ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE'] === '1';
    return asked ? EXIT.versionDeprecated : EXIT.terminated;
  }

  const open = () => openSession({ client, authorization, terminal, switches, pause, shutdown });
  const opened = await open();
  if (opened.kind !== 'open') return opened.exitCode;
  let sessionId = opened.sessionId;
  terminal.line(`Current runner version: '${RUNNER_VERSION}'`);
  terminal.stamped('Listening for Jobs');
  crashAfter(switches.takeFault('crash-after-listening'));
  const exitWhenListening = switches.takeFault('exit-after-listening');
  if (exitWhenListening !== undefined) return exitWhenListening;

  /** Ends the polling: a signal came, or the one job is done. */
  const stopPolling = new AbortController();
  let current: JobRun | undefined;
  shutdown.addEventListener('abort', () => {
    stopPolling.abort();
    current?.cancel();
  });
  let lastResult: JobResult | undefined;
  let reconnecting = false;
  let staysDeregistered: boolean | undefined;
  let update = selfUpdateOn('update');
  if (update !== undefined) stopPolling.abort();
  const lostMs = switches.takeFault('disconnect');
  if (lostMs !== undefined) {
    connectError('No route to host');
    await pause(lostMs);
    reconnected();
  }

  while (!stopPolling.signal.aborted) {
    const reply = await client.send({
      method: 'GET',
      path: `sessions/${sessionId}/message`,
      authorization,
      signal: stopPolling.signal,
      timeoutMs: POLL_TIMEOUT_MS,
    });
    if (reply.kind === 'aborted') break;
    if (reply.kind === 'unreachable') {
      connectError(reply.reason);
      await pause(switches.retryMs);
      continue;
    }
    reconnected();
    if (reply.status === 404) {
      staysDeregistered ??= switches.takeFault('stays-deregistered') !== undefined;
      if (!staysDeregistered) return await endWithoutRegistration();
      await pause(switches.retryMs);
      continue;
    }
    if (reply.status !== 200) {
      terminal.trace('MessageListener', `The session expired (${reply.status}); opening another`);
      const again = await open();
      if (again.kind !== 'open') return again.exitCode;
      sessionId = again.sessionId;
      continue;
    }
    const message = reply.body as RunnerMessage;
    if (message.type === 'nothing') continue;

    terminal.trace('BrokerMessageListener', `Acknowledging runner request '${message.job_id}'.`);
    if (switches.takeFault('exit-without-job') !== undefined) return EXIT.success;
    if (switches.takeFault('hang-after-acknowledge') !== undefined) await hangForEver();
    await current?.done; // the server may hand out the next job before we know that the last one is over
    current = createJobRun({ ...deps, client, authorization, settings, pause }, message.job_id);
    crashAfter(switches.takeFault('crash-in-job'));
    update = selfUpdateOn('update-in-job');
    void current.done.then((result) => {
      if (update !== undefined) stopPolling.abort();
      if (result === undefined || !runOnce) return;
      lastResult = result;
      stopPolling.abort();
    });
    if (shutdown.aborted) current.cancel();
  }

  await current?.done;
  await client.send({ method: 'DELETE', path: `sessions/${sessionId}`, authorization, timeoutMs: 2_000 });
  if (settings.ephemeral && lastResult !== undefined) cleanUp();
  else if (update !== undefined && !shutdown.aborted) {
    update.finish();
    return runOnce ? EXIT.runOnceUpdating : EXIT.updating;
  }
  return returnsResult && lastResult !== undefined ? toExitCode(lastResult) : EXIT.success;

  async function endWithoutRegistration(): Promise<number> {
    terminal.line('The runner no longer exists on the server. Cleaning up local configuration.');
    current?.cancel();
    await current?.done;
    cleanUp();
    return EXIT.success;
  }

  function connectError(reason: string): void {
    if (!reconnecting) terminal.stamped(`Runner connect error: ${reason}. Retrying until reconnected.`);
    reconnecting = true;
  }

  function reconnected(): void {
    if (reconnecting) terminal.stamped('Runner reconnected.');
    reconnecting = false;
  }

  function selfUpdateOn(fault: 'update' | 'update-in-job'): SelfUpdate | undefined {
    const takesMs = switches.takeFault(fault);
    return takesMs === undefined ? undefined : beginSelfUpdate(deps, takesMs);
  }

  function cleanUp(): void {
    for (const name of files.remove()) terminal.success(`Removed ${name}`);
  }
}

/** Aborts on the first SIGINT or SIGTERM. */
function shutdownOnSignal({ terminal, switches }: ListenerDeps): AbortSignal {
  const shutdown = new AbortController();
  const onSignal = () => {
    if (shutdown.signal.aborted) return;
    terminal.line('Exiting...');
    if (switches.takeFault('hang-on-sigint') === undefined) shutdown.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return shutdown.signal;
}

/** A promise alone would let node end for want of anything to do. */
function hangForEver(): Promise<never> {
  return new Promise(() => setInterval(() => undefined, 60_000));
}

/** Dies as if killed for want of memory, after so many milliseconds; never, if undefined. */
function crashAfter(delayMs: number | undefined): void {
  if (delayMs !== undefined) setTimeout(() => process.kill(process.pid, 'SIGKILL'), delayMs);
}
