/** `vm_started` over HTTP: how a MIGlet says that it exists. */
import type { Agent } from 'node:http';
import * as z from 'zod';
import { errorMessage } from '@mig/common/errors';
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import type { VmIdentity } from '@mig/common/domain/vm';
import type { Logger } from '@mig/common/logger';
import { askHttp } from '../ask-http.js';
import type { Credentials } from './credentials.js';
import type { EarlierBoot, EventJournal, JournaledEvent } from '../journal/journal.js';

export interface AnnouncerOptions {
  readonly identity: VmIdentity;
  readonly bootId: string;
  /** `http://controller:8080`. */
  readonly endpoint: string;
  readonly journal: EventJournal;
  /** Default: a connection for each request. */
  readonly agent?: Agent | undefined;
  /** By what it speaks; default: nothing. */
  readonly credentials?: Pick<Credentials, 'authorize' | 'refuse'> | undefined;
  /** The events are of a boot that has ended, told by the one after it. */
  readonly earlierBoot?: true;
}

export interface AnnounceAnswer {
  /** HOST:PORT of the controller's gRPC; empty if it names none. */
  readonly grpcEndpoint: string;
}

/** A controller that does not answer is asked again. */
const TIMEOUT_MS = 10_000;
const answerSchema = z.object({ grpc_endpoint: z.string().default('') });

/**
 * Hands over what boots that have ended left untold, oldest first, each with its own boot id. A boot that is told is
 * forgotten; so is one whose events the controller refuses for good, and the log says so: no VM stays away for its past.
 *
 * @param boots those that are done are taken out of it
 */
export async function announceEarlierBoots(
  boots: EarlierBoot[],
  options: Omit<AnnouncerOptions, 'bootId' | 'journal'>,
  logger: Logger,
  signal: AbortSignal,
): Promise<Outcome<void>> {
  for (let boot = boots[0]; boot !== undefined; boot = boots[0]) {
    const { bootId, events } = boot;
    const count = events.pendingCount;
    const outcome = await announce({ ...options, bootId, journal: events, earlierBoot: true }, signal);
    if (outcome.kind === 'retryable') return outcome;
    if (outcome.kind === 'fatal')
      logger.error(
        { bootId, lost: events.pendingCount, reason: outcome.reason },
        'events of an earlier boot were refused',
      );
    else logger.info({ bootId, count }, 'what an earlier boot left untold is told');
    boot.forget();
    boots.shift();
  }
  return ok(undefined);
}

/**
 * Sends every event that is not yet acknowledged, in order, up to the newest, which is `vm_started`: the controller stores
 * events in their order, and would take one that comes after a later one for a duplicate.
 */
export async function announce(
  options: AnnouncerOptions,
  signal: AbortSignal,
): Promise<Outcome<AnnounceAnswer>> {
  let answer: AnnounceAnswer = { grpcEndpoint: '' };
  let previousSequence = 0;
  for (const event of [...options.journal.pending()]) {
    const outcome = await post(options, event, previousSequence, signal);
    if (outcome.kind !== 'ok') return outcome;
    options.journal.acknowledge(event.sequence);
    previousSequence = event.sequence;
    // Only vm_started is answered with it, and events that were journaled since come after that.
    if (outcome.value.grpcEndpoint !== '') answer = outcome.value;
  }
  return ok(answer);
}

async function post(
  options: AnnouncerOptions,
  event: JournaledEvent,
  previousSequence: number,
  signal: AbortSignal,
): Promise<Outcome<AnnounceAnswer>> {
  const { identity, bootId, endpoint, credentials } = options;
  const authorized = (await credentials?.authorize(signal)) ?? ok(undefined);
  if (authorized.kind !== 'ok') return authorized;
  const token = authorized.value;
  const url = `${endpoint.replace(/\/$/, '')}/api/v1/vms/${identity.vmId}/events`;
  try {
    const { statusCode, text } = await askHttp(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({
        type: event.type,
        vm_id: identity.vmId,
        pool_id: identity.poolId,
        org_id: identity.orgId,
        data: event.data,
        timestamp: new Date(event.at).toISOString(),
        boot_id: bootId,
        sequence: event.sequence,
        previous_sequence: previousSequence,
        ...(options.earlierBoot === undefined ? {} : { earlier_boot: true }),
      }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      agent: options.agent,
    });
    if (statusCode === 200) return ok(parseAnswer(text));
    if (statusCode === 401) credentials?.refuse(token);
    const reason = `the controller at ${endpoint} answered ${statusCode}: ${text.slice(0, 300)}`;
    // 400 and 422 say that this very announcement is wrong; it will not get better.
    return statusCode === 400 || statusCode === 422 ? fatal(reason) : retryable(reason);
  } catch (error) {
    return retryable(`the controller at ${endpoint} was not reached: ${errorMessage(error)}`);
  }
}

/** A legacy controller answers in its own words: 200 is all that counts. */
function parseAnswer(text: string): AnnounceAnswer {
  try {
    return { grpcEndpoint: answerSchema.parse(JSON.parse(text)).grpc_endpoint };
  } catch {
    return { grpcEndpoint: '' };
  }
}
