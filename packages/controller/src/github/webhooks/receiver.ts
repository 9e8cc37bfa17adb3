/**
 * Takes GitHub's webhooks: signature, then the job that it tells of, on disk before it is answered.
 *
 * GitHub gives 10 s and never tries again by itself. What cannot be stored in time is refused, so that GitHub lists it as failed
 * and it is found there again (redelivery.ts). A webhook that comes twice, also after a restart, is taken once.
 */
import type { Clock } from '@mig/common/clock';
import { MigError, printable } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { WorkflowJobBook } from '../jobs/job-book.js';
import { createQuietLog } from './quiet-log.js';
import { verifySignature, type SecretFiles } from './signature.js';
import { toNews } from './workflow-job-payload.js';

/** GitHub waits for 10 s; the rest is for the way. */
const STORE_WITHIN_MS = 8_000;
/** Refusals that are logged in a minute; more are counted only. */
const LOGGED_PER_MINUTE = 30;

export interface WebhookRequest {
  readonly event: string | undefined;
  /** GUID of the delivery. */
  readonly delivery: string | undefined;
  /** `X-Hub-Signature-256`. */
  readonly signature: string | undefined;
  /** `payload=` and JSON, and not JSON alone. */
  readonly isForm: boolean;
  /** As it came: the signature is over these bytes. */
  readonly body: Buffer;
  /** Address of the sender, for the log. */
  readonly from: string;
}

export interface WebhookRefusal {
  readonly kind: 'refused';
  /** 503: GitHub lists it as failed, and it is delivered again. */
  readonly status: 400 | 401 | 503;
  /** In kebab-case: the type of the problem. */
  readonly code: string;
  readonly reason: string;
}

export type Reception = { readonly kind: 'pong' | 'taken' | 'duplicate' | 'ignored' } | WebhookRefusal;

export interface ReceiverStatus {
  /** When a webhook with a right signature came last. */
  readonly lastDeliveryAt: number | undefined;
  /** Since the start of the controller. `refused`: by the code of the problem. */
  readonly taken: number;
  readonly duplicates: number;
  readonly ignored: number;
  readonly refused: Readonly<Record<string, number>>;
  /** Why the last webhook was refused, for a person; undefined after one that was taken. */
  readonly problem: string | undefined;
}

export interface WebhookReceiver {
  /** Never rejects. */
  receive(request: WebhookRequest): Promise<Reception>;
  status(): ReceiverStatus;
}

export interface ReceiverDeps {
  readonly jobs: Pick<WorkflowJobBook, 'take'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const NOT_CONFIGURED = 'github.webhook.secret_file is empty: name a file with the secret of the webhook';

export function createWebhookReceiver(deps: ReceiverDeps, secrets: SecretFiles): WebhookReceiver {
  const { jobs, clock, logger } = deps;
  const quietLog = createQuietLog({ clock, logger }, LOGGED_PER_MINUTE);
  const counts = { taken: 0, duplicates: 0, ignored: 0 };
  const refused: Record<string, number> = {};
  let lastDeliveryAt: number | undefined;
  let problem: string | undefined;

  async function check(request: WebhookRequest): Promise<Reception> {
    const verdict = await verifySignature(secrets, request.body, request.signature);
    switch (verdict.kind) {
      case 'notConfigured':
        return refuse(503, 'webhooks-not-configured', NOT_CONFIGURED);
      case 'unreadable':
        return refuse(503, 'webhook-secret-unreadable', verdict.reason);
      case 'wrong':
        return refuse(401, 'webhook-signature', wrongSignature(request.signature));
      case 'right':
        lastDeliveryAt = clock.now();
        if (verdict.by === 'previous')
          logger.debug({ delivery: request.delivery }, 'a webhook was signed with the previous secret');
        return accept(request);
    }
  }

  async function accept({ event, delivery, isForm, body }: WebhookRequest): Promise<Reception> {
    if (event === undefined || event === '') return refuse(400, 'bad-webhook', 'X-GitHub-Event is missing');
    if (delivery === undefined || !/^[\x21-\x7e]{1,100}$/.test(delivery))
      return refuse(400, 'bad-webhook', 'X-GitHub-Delivery is missing, or is no GUID');
    if (event === 'ping') return { kind: 'pong' };
    if (event !== 'workflow_job') return { kind: 'ignored' };
    const text = body.toString('utf8');
    const content = isForm ? new URLSearchParams(text).get('payload') : text;
    if (content === null) return refuse(400, 'bad-webhook', 'body: expected a form with the field payload');
    const payload = toNews(parseJson(content), delivery, clock.now());
    switch (payload.kind) {
      case 'invalid':
        return refuse(400, 'bad-webhook', `the payload is not a workflow_job of GitHub's: ${payload.reason}`);
      case 'ignored':
        return { kind: 'ignored' };
      case 'news': {
        const taken = await within(clock, jobs.take(payload.news), STORE_WITHIN_MS);
        return { kind: taken === 'duplicate' ? 'duplicate' : 'taken' };
      }
    }
  }

  /** Whatever it is, GitHub is to keep the delivery as failed. */
  function failed(error: unknown): WebhookRefusal {
    if (error instanceof MigError) return refuse(503, error.code, error.message);
    logger.error({ err: error }, 'a webhook could not be taken');
    return refuse(503, 'internal', 'unexpected error of the controller; its log has the cause');
  }

  function note(request: WebhookRequest, reception: Reception): void {
    switch (reception.kind) {
      case 'refused': {
        const { status, code, reason } = reception;
        refused[code] = (refused[code] ?? 0) + 1;
        problem = reason;
        quietLog.warn(
          {
            event: 'webhook_refused',
            status,
            code,
            reason: printable(reason, 1_000),
            delivery: request.delivery === undefined ? undefined : printable(request.delivery, 100),
            from: request.from,
          },
          'a webhook was refused',
        );
        return;
      }
      case 'pong':
        logger.info({ delivery: request.delivery }, 'GitHub said ping: the webhook is set up');
        break;
      case 'taken':
        counts.taken += 1;
        break;
      case 'duplicate':
        counts.duplicates += 1;
        break;
      case 'ignored':
        counts.ignored += 1;
    }
    problem = undefined;
    logger.debug(
      { delivery: request.delivery, gitHubEvent: request.event, result: reception.kind },
      'a webhook was answered',
    );
  }

  return {
    async receive(request) {
      const reception = await check(request).catch(failed);
      note(request, reception);
      return reception;
    },
    status: () => ({ lastDeliveryAt, ...counts, refused: { ...refused }, problem }),
  };
}

const refuse = (status: WebhookRefusal['status'], code: string, reason: string): WebhookRefusal => ({
  kind: 'refused',
  status,
  code,
  reason,
});

const wrongSignature = (signature: string | undefined): string =>
  signature === undefined
    ? 'X-Hub-Signature-256 is missing: set the secret of the webhook at GitHub'
    : 'X-Hub-Signature-256 does not fit the body: the secret at GitHub and that in github.webhook.secret_file differ, or somebody else sent it';

/** Undefined for what is no JSON: the schema says what it should be. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws MigError if it takes longer; it may still be stored then, and is a duplicate when it comes again */
async function within<T>(clock: Clock, work: Promise<T>, limitMs: number): Promise<T> {
  let timer: unknown;
  const late = new Promise<never>((_, reject) => {
    timer = clock.setTimer(
      () => reject(new MigError('store-unavailable', `it could not be stored within ${limitMs / 1000} s`)),
      limitMs,
    );
  });
  return Promise.race([work, late]).finally(() => clock.clearTimer(timer));
}
