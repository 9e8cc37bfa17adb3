/** Opening the listener's session (actions/runner src/Runner.Listener/MessageListener.cs, `CreateSessionAsync`). */
import type { Session, SessionRequest } from '../github/runner-protocol.js';
import { EXIT } from './exit-codes.js';
import { OS_NAME, RUNNER_VERSION } from './identity.js';
import type { Pause } from './pause.js';
import type { ServiceClient } from './service-client.js';
import type { Switches } from './switches.js';
import type { Terminal } from './terminal.js';

export type SessionOpening =
  | { readonly kind: 'open'; readonly sessionId: string }
  | { readonly kind: 'failed'; readonly exitCode: number };

/** Tries for as long as GitHub cannot be reached, and for a while if another session is open. */
export async function openSession(deps: {
  client: ServiceClient;
  authorization: string;
  terminal: Terminal;
  switches: Switches;
  pause: Pause;
  shutdown: AbortSignal;
}): Promise<SessionOpening> {
  const { terminal, switches, pause } = deps;
  const body: SessionRequest = { version: RUNNER_VERSION, os: OS_NAME };
  let conflicts = 0;
  let reconnecting = false;
  let connected = false;

  while (!deps.shutdown.aborted) {
    const reply = await deps.client.send({
      method: 'POST',
      path: 'sessions',
      authorization: deps.authorization,
      body,
      signal: deps.shutdown,
    });
    if (reply.kind === 'aborted') break;
    if (reply.kind === 'unreachable') {
      connectError(reply.reason);
      await pause(switches.retryMs);
      continue;
    }
    if (!connected) terminal.line('\n√ Connected to GitHub\n');
    connected = true;
    if (reply.status === 200) {
      if (reconnecting) terminal.stamped('Runner reconnected.');
      return { kind: 'open', sessionId: (reply.body as Session).session_id };
    }
    if (reply.status !== 409) {
      terminal.error(
        'Failed to create a session. The runner registration has been deleted from the server, please re-configure. Runner registrations are automatically deleted for runners that have not connected to the service recently.',
      );
      return { kind: 'failed', exitCode: EXIT.terminated };
    }
    if (conflicts === 0) terminal.error('A session for this runner already exists.');
    if (conflicts >= switches.sessionConflict.retries)
      return { kind: 'failed', exitCode: EXIT.sessionConflict };
    conflicts += 1;
    connectError('Conflict');
    await pause(switches.sessionConflict.intervalMs);
  }
  return { kind: 'failed', exitCode: EXIT.success };

  function connectError(reason: string): void {
    if (!reconnecting) terminal.stamped(`Runner connect error: ${reason}. Retrying until reconnected.`);
    reconnecting = true;
  }
}
