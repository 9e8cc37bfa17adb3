/**
 * Webhooks: what happens to a job is told to every webhook that is subscribed, as GitHub does it: in no order, not again
 * if it fails, with 10 s to answer, signed with the secret of the moment. Every attempt is recorded; a redelivery is
 * another attempt with the same GUID and payload.
 */
import { createHmac, randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Clock, Timer } from '@mig/common/clock';
import { findPayloadFaults } from '../description/workflow-job-schemas.js';
import type { Directory, Repository } from '../directory.js';
import type { EmitEvent } from '../events.js';
import type { AnnounceJob } from '../job-book.js';
import type { Places } from '../resources/places.js';
import type { Delivery, DeliveryBook, Parcel } from './delivery-book.js';
import { isTold, type Hook, type HookBook } from './hook-book.js';
import { noAnswer, sendWebhook, type SendOutcome } from './sender.js';
import type { Fate, WebhookFaultDesk } from './webhook-faults.js';
import { toWorkflowJobPayload } from './workflow-job-payload.js';

const EVENT = 'workflow_job';
const USER_AGENT = 'GitHub-Hookshot/standin';

export interface Webhooks {
  announce: AnnounceJob;
  /** GitHub says this once to every new webhook. Nothing happens if it has no address. */
  ping(hook: Hook): void;
  redeliver(delivery: Delivery): void;
  /** Resolves when nothing is on its way any more; what is kept for reordering is not on its way. */
  settled(): Promise<void>;
  /** Breaks off what is on its way. */
  close(): Promise<void>;
}

export interface WebhooksDeps {
  readonly hooks: HookBook;
  readonly deliveries: DeliveryBook;
  readonly faults: WebhookFaultDesk;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly emit: EmitEvent;
  readonly places: () => Places;
  /** Of the App at an organization; undefined if it is not installed there, or suspended. */
  readonly installationAt: (organizationId: number) => number | undefined;
  /** A payload that is not GitHub's: a defect of the stand-in. */
  readonly onDefect: (error: unknown) => void;
}

export function createWebhooks(deps: WebhooksDeps, options: { readonly answerLimitMs: number }): Webhooks {
  const { hooks, deliveries, faults, clock } = deps;
  const inFlight = new Set<Promise<void>>();
  /** Ends the delays of those that are late, without a delivery. */
  const delays = new Map<Timer, () => void>();
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // every delivery on its way listens to it
  let waiters: (() => void)[] = [];

  function settle(): void {
    if (inFlight.size > 0) return;
    const settled = waiters;
    waiters = [];
    for (const go of settled) go();
  }

  /** Never rejects. */
  function track(work: Promise<void>): Promise<void> {
    const tracked = work.catch(deps.onDefect).finally(() => {
      inFlight.delete(tracked);
      setImmediate(settle); // by then the next one is on its way, if it waited for this one
    });
    inFlight.add(tracked);
    return tracked;
  }

  const announce: AnnounceJob = (action, job) => {
    const [owner = '', name = ''] = job.repository.split('/');
    const repository = deps.directory.findRepository(owner, name);
    if (repository === undefined) return; // of an organization that nobody has webhooks for
    const installationId = deps.installationAt(repository.owner.id);
    const guid = randomUUID();
    for (const hook of hooks.list()) {
      if (!isTold(hook, EVENT, repository, installationId !== undefined)) continue;
      const ofApp = hook.target.kind === 'app' ? installationId : undefined;
      const hasLabels = !(action === 'completed' && faults.hasEmptyLabels());
      const payload = toWorkflowJobPayload(
        { action, job, repository, installationId: ofApp, hasLabels },
        deps.places(),
      );
      const wrong = findPayloadFaults(payload);
      if (wrong.length > 0) deps.onDefect(new Error(`workflow_job ${action}: ${wrong.join('; ')}`));
      else dispatch(toParcel(hook, guid, EVENT, action, repository, ofApp, payload), false);
    }
  };

  function dispatch(parcel: Parcel, redelivery: boolean): void {
    faults.pass(parcel.action, (fate) => track(send(parcel, redelivery, fate)));
  }

  async function send(parcel: Parcel, redelivery: boolean, fate: Fate): Promise<void> {
    if (fate.lost === 'unrecorded') return;
    if (fate.delayMs > 0) await delay(fate.delayMs);
    if (closing.signal.aborted) return;
    const copies = Array.from({ length: fate.copies }, () =>
      deliver(parcel, redelivery, fate.lost !== undefined),
    );
    await Promise.all(copies);
  }

  function delay(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = clock.setTimer(() => {
        delays.delete(timer);
        resolve();
      }, delayMs);
      delays.set(timer, resolve);
    });
  }

  async function deliver(parcel: Parcel, redelivery: boolean, isLost: boolean): Promise<void> {
    const { config } = parcel.hook;
    const json = JSON.stringify(parcel.payload);
    const body = config.contentType === 'form' ? new URLSearchParams({ payload: json }).toString() : json;
    const headers = toHeaders(parcel, body);
    const deliveredAt = clock.now();
    const startedMs = clock.monotonicMs();
    const outcome: SendOutcome = isLost
      ? noAnswer('failed to connect to host')
      : await sendWebhook(clock, {
          url: config.url,
          headers,
          body,
          insecureSsl: config.insecureSsl,
          limitMs: options.answerLimitMs,
          signal: closing.signal,
        });
    if (closing.signal.aborted) return;
    const delivery = deliveries.add({
      ...parcel,
      ...outcome,
      deliveredAt,
      durationMs: clock.monotonicMs() - startedMs,
      redelivery,
      url: config.url,
      requestHeaders: headers,
    });
    deps.emit({
      event: 'webhook_delivered',
      delivery_id: delivery.id,
      guid: parcel.guid,
      action: parcel.action,
      status: outcome.status,
      status_code: outcome.statusCode,
      redelivery,
    });
  }

  return {
    announce,
    ping(hook) {
      if (hook.config.url === '') return;
      const payload = { zen: 'Keep it logically awesome.', hook_id: hook.id, hook: toHookFacts(hook) };
      dispatch(toParcel(hook, randomUUID(), 'ping', null, undefined, undefined, payload), false);
    },
    redeliver: (delivery) => dispatch(delivery, true),
    settled: () =>
      new Promise((resolve) => {
        waiters.push(resolve);
        settle();
      }),
    async close() {
      closing.abort();
      faults.clear();
      for (const [timer, end] of delays) {
        clock.clearTimer(timer);
        end();
      }
      await Promise.all(inFlight);
      settle();
    },
  };
}

function toParcel(
  hook: Hook,
  guid: string,
  event: string,
  action: string | null,
  repository: Repository | undefined,
  installationId: number | undefined,
  payload: Readonly<Record<string, unknown>>,
): Parcel {
  return {
    hook,
    guid,
    event,
    action,
    installationId: installationId ?? null,
    repositoryId: repository?.id ?? null,
    payload,
  };
}

/** What every webhook of GitHub carries (github-facts 2.4). */
function toHeaders({ hook, guid, event }: Parcel, body: string): Record<string, string> {
  const { secret, contentType } = hook.config;
  const sign = (algorithm: 'sha1' | 'sha256') =>
    `${algorithm}=${createHmac(algorithm, secret ?? '')
      .update(body)
      .digest('hex')}`;
  return {
    accept: '*/*',
    'content-type': contentType === 'form' ? 'application/x-www-form-urlencoded' : 'application/json',
    'user-agent': USER_AGENT,
    'x-github-delivery': guid,
    'x-github-event': event,
    'x-github-hook-id': String(hook.id),
    'x-github-hook-installation-target-id': String(targetId(hook)),
    'x-github-hook-installation-target-type': hook.target.kind === 'app' ? 'integration' : hook.target.kind,
    ...(secret === undefined
      ? {}
      : { 'x-hub-signature': sign('sha1'), 'x-hub-signature-256': sign('sha256') }),
  };
}

function targetId({ target }: Hook): number {
  switch (target.kind) {
    case 'app':
      return target.id;
    case 'organization':
      return target.organization.id;
    case 'repository':
      return target.repository.id;
  }
}

const toHookFacts = (hook: Hook) => ({
  id: hook.id,
  type:
    hook.target.kind === 'app' ? 'App' : hook.target.kind === 'organization' ? 'Organization' : 'Repository',
  name: 'web',
  active: hook.active,
  events: hook.events,
  config: { url: hook.config.url, content_type: hook.config.contentType, insecure_ssl: '0' },
});
