/**
 * The webhook `workflow_job`, from GitHub's words to the domain's.
 *
 * Checked against what GitHub's schema says of the parts that are used (github-facts 2.4); what is not used may be anything, and
 * what GitHub adds later is no fault. The payloads of 2021, without attempt, workflow and branch, are taken too.
 */
import * as z from 'zod';
import { rankOf, type WorkflowJobNews, type WorkflowJobStatus } from '@mig/common/domain/workflow-job';
import { cut, gitHubJobSchema, statusOf, toDetails } from '../jobs/github-job.js';

const text = z.string();

const payloadSchema = z.object({
  action: text,
  workflow_job: gitHubJobSchema,
  repository: z.object({
    full_name: z.string().regex(/^[^/\s]+\/[^/\s]+$/, 'expected OWNER/REPOSITORY'),
    owner: z.object({ login: text }),
  }),
  organization: z.object({ login: text }).nullish(),
});

export type Payload =
  | { readonly kind: 'news'; readonly news: WorkflowJobNews }
  /** An action that this controller does not know: GitHub has more than it had. */
  | { readonly kind: 'ignored'; readonly action: string }
  /** @property reason each path and what is wrong there */
  | { readonly kind: 'invalid'; readonly reason: string };

/**
 * What each action says by itself: a job that is told to run runs, though its status is still the one before. `queued` says
 * nothing: GitHub's own example has it of a job that waits.
 */
const AT_LEAST: Readonly<Record<string, WorkflowJobStatus>> = {
  queued: 'requested',
  waiting: 'requested',
  in_progress: 'in_progress',
  completed: 'completed',
};

/** @param json the parsed payload */
export function toNews(json: unknown, delivery: string, at: number): Payload {
  const parsed = payloadSchema.safeParse(json);
  if (!parsed.success) return { kind: 'invalid', reason: faultsOf(parsed.error) };
  const { action, workflow_job: job, repository, organization } = parsed.data;
  if (!Object.hasOwn(AT_LEAST, action)) return { kind: 'ignored', action };
  const said = statusOf(job.status, action === 'waiting' ? 'waiting' : 'queued');
  const least = AT_LEAST[action] ?? said;
  return {
    kind: 'news',
    news: {
      id: String(job.id),
      runAttempt: job.run_attempt ?? 1,
      status: rankOf(said) >= rankOf(least) ? said : least,
      details: {
        ...toDetails(job),
        repository: cut(repository.full_name),
        org: cut(organization?.login ?? repository.owner.login),
      },
      at,
      delivery,
    },
  };
}

/** Most faults that are named. */
const MAX_FAULTS = 5;

function faultsOf(error: z.ZodError): string {
  const named = error.issues
    .slice(0, MAX_FAULTS)
    .map(({ path, message }) => `${path.join('.') || 'payload'}: ${message}`);
  const rest = error.issues.length - named.length;
  return named.join('; ') + (rest > 0 ? `; and ${rest} more` : '');
}
