/** One mapper: what went wrong inside -> a problem (RFC 9457) on the way out. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { InvalidIdError, MigError, errorMessage, printable } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { problemType, type Problem } from '@mig/common/api/problem';
import { BadCommandError } from '../commands/errors.js';
import { BadJobError } from '../jobs/errors.js';

/** A VM that was never seen: nothing can be asked of it. */
export class UnknownVmError extends MigError {
  constructor(readonly vmId: string) {
    super(
      'unknown-vm',
      `VM ${vmId} has never been seen by this controller: check the name with "migctl get vms"`,
    );
  }
}

/** What is new is not taken any more; what was taken is finished. */
export class ControllerStoppingError extends MigError {
  constructor() {
    super('stopping', 'the controller is stopping, and takes nothing new: try again in a few seconds');
  }
}

/** A request that is wrong in a way that its schema cannot say. */
export class BadRequestError extends MigError {
  constructor(message: string) {
    super('bad-request', message);
  }
}

/** A body that takes more to read than its size says. */
export class TooComplexError extends MigError {
  constructor(limit: number) {
    super('too-complex', `the body has more than ${limit} lists, objects and elements: send less at once`);
  }
}

const STATUS: Readonly<Record<string, { status: number; title: string }>> = {
  'bad-request': { status: 400, title: 'Bad request' },
  'bad-command': { status: 400, title: 'The command is wrong' },
  'invalid-id': { status: 400, title: 'An id is not valid' },
  'unknown-vm': { status: 404, title: 'Unknown VM' },
  'unknown-command': { status: 404, title: 'Unknown command' },
  'not-cancellable': { status: 409, title: 'The command cannot be cancelled any more' },
  'bad-drain': { status: 400, title: 'There is nothing to drain' },
  'unknown-drain': { status: 404, title: 'Unknown drain' },
  'unknown-workflow-job': { status: 404, title: 'Unknown workflow job' },
  'drain-ended': { status: 409, title: 'The drain has ended' },
  'too-many-drains': { status: 429, title: 'Too many active drains' },
  'too-many-commands': { status: 429, title: 'Too many unfinished commands' },
  'store-unavailable': { status: 503, title: 'Nothing can be stored now' },
  'vm-cordoned': { status: 409, title: 'The VM is cordoned' },
  'other-boot': { status: 409, title: 'The VM is in another boot' },
  stopping: { status: 503, title: 'The controller is stopping' },
  'unknown-task': { status: 404, title: 'Unknown task' },
  'task-ended': { status: 409, title: 'The task has ended' },
  'too-many-tasks': { status: 429, title: 'Too many unfinished tasks' },
  'bad-job': { status: 400, title: 'The specification of the job is wrong' },
  'unknown-job': { status: 404, title: 'Unknown job' },
  'job-ended': { status: 409, title: 'The job has ended' },
  'too-many-jobs': { status: 429, title: 'Too many unfinished jobs' },
  'no-github': { status: 404, title: 'This controller has no GitHub' },
  'unknown-runner-download': { status: 404, title: 'No such runner to download' },
  unauthenticated: { status: 401, title: 'A valid credential is needed' },
  forbidden: { status: 403, title: 'Not allowed' },
  'unknown-token': { status: 404, title: 'Unknown token' },
  'too-many-tokens': { status: 429, title: 'Too many tokens' },
  'too-many-revoked': { status: 429, title: 'Too many revoked certificates' },
  'vm-claimed': { status: 409, title: 'The name of the VM belongs to another boot or pool' },
  'too-many-releases': { status: 429, title: 'Too many released VMs' },
  'join-unavailable': { status: 503, title: 'Nobody can join by this now' },
  'too-much': { status: 429, title: 'More than is allowed' },
  'stranger-body-too-large': { status: 413, title: 'The body is too large' },
  'too-complex': { status: 400, title: 'The body is too complex' },
  'pool-full': { status: 429, title: 'The pool is full' },
  'oidc-unavailable': { status: 503, title: 'The identity provider does not answer' },
  'too-many-attempts': { status: 429, title: 'Too many failed attempts' },
  'github-unavailable': { status: 503, title: 'GitHub cannot be asked now' },
};

/** What is refused before it was read. */
const CLOSES: ReadonlySet<string> = new Set(['too-much', 'too-many-attempts', 'stranger-body-too-large']);

export function toProblem(error: unknown): Problem {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const errors = error.validation.map((issue) => ({
      path: `${error.validationContext ?? 'request'}${issue.instancePath.replace(/\/$/, '').replaceAll('/', '.')}`,
      message: issue.message ?? 'is not valid',
    }));
    const detail = errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
    return { type: problemType('bad-request'), title: 'Bad request', status: 400, detail, errors };
  }
  if (error instanceof MigError) {
    const known = STATUS[error.code];
    if (known !== undefined) {
      return {
        type: problemType(error.code),
        ...known,
        detail: error.message,
        ...(error instanceof BadCommandError
          ? { errors: error.faults.map((message) => ({ path: 'body', message })) }
          : {}),
        ...(error instanceof BadJobError ? { errors: [...error.faults] } : {}),
        ...(error instanceof InvalidIdError
          ? { errors: [{ path: error.field, message: error.message }] }
          : {}),
      };
    }
  }
  const status = (error as Partial<FastifyError>).statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return { type: problemType('bad-request'), title: 'Bad request', status, detail: errorMessage(error) };
  }
  return {
    type: problemType('internal'),
    title: 'Internal error',
    status: 500,
    detail: 'unexpected error of the controller; its log has the cause',
  };
}

export function createErrorHandler(logger: Logger) {
  return async function handleError(
    error: unknown,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> {
    const problem = toProblem(error);
    const where = { method: request.method, url: printable(request.url), status: problem.status };
    if (problem.status >= 500 && !(error instanceof ControllerStoppingError))
      logger.error({ ...where, err: error }, 'a request failed');
    else logger.debug({ ...where, reason: problem.detail }, 'a request was refused');
    const isLater = problem.status === 429 || problem.status === 503;
    if (isLater && !reply.hasHeader('retry-after'))
      void reply.header('retry-after', String(retryAfterSeconds(error)));
    // Who goes on has to come through the door again.
    if (error instanceof MigError && CLOSES.has(error.code)) void reply.header('connection', 'close');
    await sendProblem(reply, problem);
  };
}

/** What the error says, or 5. */
function retryAfterSeconds(error: unknown): number {
  const { retryAfterMs } = error as { retryAfterMs?: unknown };
  return typeof retryAfterMs === 'number' ? Math.max(1, Math.ceil(retryAfterMs / 1_000)) : 5;
}

export async function sendProblem(reply: FastifyReply, problem: Problem): Promise<void> {
  await reply.code(problem.status).type('application/problem+json').serializer(JSON.stringify).send(problem);
}
