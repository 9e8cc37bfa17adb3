/**
 * By what this VM speaks to its controller: it joins once, and gets a session token; the controller sends the next one over
 * the stream before it expires. A token that the controller does not take is dropped, and the VM joins again.
 */
import type { Agent } from 'node:http';
import * as z from 'zod';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { ok, retryable, type Outcome } from '@mig/common/outcome';
import type { VmIdentity } from '@mig/common/domain/vm';
import { askHttp } from '../ask-http.js';
import type { ReadJoinProof } from '../host/join-proof.js';
import type { SessionFile } from '../host/session-file.js';

export interface Credentials {
  /** The token to speak with, joining if there is none that is good; undefined = none is needed. */
  authorize(signal: AbortSignal): Promise<Outcome<string | undefined>>;
  /** The controller has sent the next token. */
  renew(token: string, expiresInMs: number): void;
  /** The controller did not take this token. */
  refuse(token: string | undefined): void;
}

export interface CredentialsDeps {
  readonly identity: VmIdentity;
  readonly bootId: string;
  /** HTTP of the controller. */
  readonly endpoint: string;
  /** Undefined = this VM joins by nothing. */
  readonly readProof: ReadJoinProof | undefined;
  /** Undefined = in memory alone. */
  readonly file: SessionFile | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: a connection for each request. */
  readonly agent?: Agent | undefined;
}

const TIMEOUT_MS = 10_000;
/** A token that is so near its end is not relied upon. */
const MARGIN_MS = 5_000;

const problemSchema = z.object({ detail: z.string() });
const answerSchema = z.object({
  session_token: z.string().optional(),
  session_expires_in_ms: z.number().optional(),
});

export function createCredentials(deps: CredentialsDeps): Credentials {
  const { identity, bootId, clock, logger, readProof } = deps;
  const kept = deps.file?.read();
  let session =
    kept === undefined
      ? undefined
      : { token: kept.token, untilMs: clock.monotonicMs() + (kept.expiresAt - clock.now()) };
  /** The session that this boot had, taken or not: by it the controller knows who joins again, also from another address. */
  let former = session?.token;
  let joining: Promise<Outcome<string | undefined>> | undefined;
  /** A controller that knows no sessions, or asks this VM for none. */
  let needsNone = readProof === undefined;

  function keep(token: string, expiresInMs: number): void {
    session = { token, untilMs: clock.monotonicMs() + expiresInMs };
    former = token;
    deps.file?.write({ token, expiresAt: clock.now() + expiresInMs });
  }

  async function join(signal: AbortSignal): Promise<Outcome<string | undefined>> {
    if (readProof === undefined) return ok(undefined);
    const proof = await readProof(signal);
    if (proof.kind !== 'ok') return proof;
    const where = `the controller at ${deps.endpoint}`;
    try {
      const url = `${deps.endpoint.replace(/\/$/, '')}/api/v1/vms/${identity.vmId}/join`;
      const { statusCode, text } = await askHttp(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(former === undefined ? {} : { authorization: `Bearer ${former}` }),
        },
        body: JSON.stringify({ pool_id: identity.poolId, boot_id: bootId, join: proof.value }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
        agent: deps.agent,
      });
      // A controller without this route is a legacy one, or an older one of ours.
      if (statusCode === 404) {
        needsNone = true;
        return ok(undefined);
      }
      if (statusCode === 409) return retryable(`waits until its name is free: ${detailOf(text)}`);
      if (statusCode !== 200)
        return retryable(`${where} did not let this VM join: ${statusCode}: ${text.slice(0, 300)}`);
      const answer = answerSchema.parse(JSON.parse(text));
      if (answer.session_token === undefined) {
        needsNone = true;
        return ok(undefined);
      }
      keep(answer.session_token, answer.session_expires_in_ms ?? 0);
      logger.info({ event: 'joined', method: proof.value.method }, 'the VM has joined');
      return ok(answer.session_token);
    } catch (error) {
      return retryable(`${where} was not reached: ${errorMessage(error)}`);
    }
  }

  return {
    async authorize(signal) {
      if (needsNone) return ok(undefined);
      if (session !== undefined && clock.monotonicMs() < session.untilMs - MARGIN_MS)
        return ok(session.token);
      // The streams of commands, tasks and jobs ask at the same time: the VM joins once.
      joining ??= join(signal).finally(() => (joining = undefined));
      return joining;
    },
    renew(token, expiresInMs) {
      needsNone = false;
      keep(token, expiresInMs);
    },
    refuse(token) {
      needsNone = readProof === undefined;
      if (session === undefined || session.token !== token) return;
      session = undefined;
      deps.file?.write(undefined);
    },
  };
}

/** What a problem says to people; the answer itself, if it is none. */
function detailOf(text: string): string {
  try {
    return problemSchema.parse(JSON.parse(text)).detail.slice(0, 500);
  } catch {
    return text.slice(0, 300);
  }
}
