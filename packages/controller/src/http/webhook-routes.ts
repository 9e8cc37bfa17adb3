/** `POST /webhooks/github`: HTTP around the receiver. The body stays as it came, because the signature is over its bytes. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { problemType } from '@mig/common/api/problem';
import type { WebhookReceiver, WebhookRefusal } from '../github/webhooks/receiver.js';
import { withTypes } from './app.js';
import { sendProblem } from './problems.js';

export interface WebhookRoutesDeps {
  readonly webhooks: { readonly receiver: WebhookReceiver };
}

/**
 * GitHub sends up to 25 MiB; a `workflow_job` with a thousand steps has half a MiB. A larger body is refused with 413 before it is
 * read, as nobody has signed yet for what is being read.
 */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';

const TITLES: Readonly<Record<WebhookRefusal['status'], string>> = {
  400: 'The webhook is wrong',
  401: 'The signature is wrong',
  503: 'The webhook cannot be taken now',
};

/** @param scope one of its own: what it parses bodies with is for this route alone */
export function webhookRoutes(scope: FastifyInstance, { webhooks }: WebhookRoutesDeps): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    [JSON_TYPE, FORM_TYPE],
    { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES },
    (_, body, done) => done(null, body),
  );
  withTypes(scope).post(
    '/webhooks/github',
    {
      bodyLimit: MAX_BODY_BYTES,
      schema: {
        summary: "GitHub's webhooks, signed with the secret in github.webhook.secret_file",
        description:
          'workflow_job is durable when this answers 202; ping is 200; other events are 202 and ignored. Any other answer makes GitHub list the delivery as failed.',
      },
    },
    async (request, reply) => {
      const { headers, body } = request;
      const reception = await webhooks.receiver.receive({
        event: single(headers['x-github-event']),
        delivery: single(headers['x-github-delivery']),
        signature: single(headers['x-hub-signature-256']),
        isForm: (headers['content-type'] ?? '').trim().toLowerCase().startsWith(FORM_TYPE),
        body: Buffer.isBuffer(body) ? body : Buffer.alloc(0),
        from: request.ip,
      });
      if (reception.kind === 'refused') return refuse(reply, reception);
      return reply.code(reception.kind === 'pong' ? 200 : 202).send({ result: reception.kind });
    },
  );
}

async function refuse(reply: FastifyReply, { status, code, reason }: WebhookRefusal): Promise<FastifyReply> {
  if (status === 503) void reply.header('retry-after', '5');
  await sendProblem(reply, { type: problemType(code), title: TITLES[status], status, detail: reason });
  return reply;
}

/** Undefined for a header that came twice: which of them is meant cannot be said. */
const single = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;
