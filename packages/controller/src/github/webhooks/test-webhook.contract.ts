/** Webhooks as GitHub sends them, for tests: GitHub's own eight examples, signed. */
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface ExamplePayload extends Record<string, unknown> {
  readonly action: string;
  readonly workflow_job: Readonly<Record<string, unknown>>;
}

const DATA = path.resolve(
  path.dirname(fileURLToPath(import.meta.url)),
  '../../../../testkit/data/github/workflow-job-examples.json',
);

/** In GitHub's order; the first is of 2021, and has less than the others. */
export const EXAMPLES = (JSON.parse(readFileSync(DATA, 'utf8')) as { examples: ExamplePayload[] }).examples;

export const signatureOf = (secret: string, body: string): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

/** The example with other fields in its job. */
export const payloadOf = (
  fields: Readonly<Record<string, unknown>>,
  action = String(fields['status']),
): ExamplePayload => {
  const example = EXAMPLES[1] as ExamplePayload;
  return { ...example, action, workflow_job: { ...example.workflow_job, ...fields } };
};

export interface SentWebhook {
  readonly body: string;
  readonly headers: Record<string, string>;
}

/** @param headers take the place of GitHub's */
export function webhook(
  payload: unknown,
  secret: string,
  headers: Record<string, string | undefined> = {},
): SentWebhook {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const all = {
    'content-type': 'application/json',
    'user-agent': 'GitHub-Hookshot/test',
    'x-github-event': 'workflow_job',
    'x-github-delivery': randomUUID(),
    'x-hub-signature-256': signatureOf(secret, body),
    ...headers,
  };
  const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { body, headers: Object.fromEntries(given) };
}
