/** GitHub's error bodies (schemas `basic-error` and `validation-error-simple`). */
import type { Answer } from './exchange.js';

const DOCS = 'https://docs.github.com/rest';
const RUNNER_DOCS = `${DOCS}/actions/self-hosted-runners`;

export const json = (status: number, body: unknown, headers?: Record<string, string>): Answer =>
  headers === undefined ? { status, body } : { status, body, headers };

export const noContent: Answer = { status: 204 };

/** Any refusal: a message in GitHub's words, and where its documentation is. */
export const refusal = (status: number, message: string, documentationUrl = DOCS): Answer =>
  json(status, { message, documentation_url: documentationUrl, status: String(status) });

export const notFound = (): Answer => refusal(404, 'Not Found', RUNNER_DOCS);

/** 422 `Invalid request.`, with one line for each fault of the body. */
export const invalidRequest = (faults: readonly string[]): Answer =>
  json(422, {
    message: `Invalid request.\n\n${faults.join('\n')}`,
    documentation_url: RUNNER_DOCS,
    status: '422',
  });

export const nameExists = (name: string): Answer =>
  refusal(409, `Already exists - A runner with the name ${name} already exists.`, RUNNER_DOCS);

/** GitHub's own words, as its clients have seen them (actions-runner-controller, PR 1127). */
export const stillRunningJob = (name: string): Answer =>
  refusal(422, `Bad request - Runner "${name}" is still running a job`, RUNNER_DOCS);
