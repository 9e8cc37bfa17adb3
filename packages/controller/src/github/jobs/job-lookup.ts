/**
 * Looks up jobs whose webhooks are lost entirely: what is not even on GitHub's list of deliveries cannot be delivered again.
 *
 * A job is asked for when nothing was heard of it for a while and it should have moved: it is queued for long, or runs on a VM of
 * ours that has no job. The answer is folded like any other news, so that it overtakes nothing.
 *
 * A 404 means that GitHub has nothing to show: the run was deleted, which GitHub allows only when it is over, or we may not see
 * the repository. The first is believed, and the job ends as `completed` with the conclusion `unknown`, if GitHub has shown us
 * another job of that repository since the start, or if nothing was heard for a day, after which GitHub cancels what is queued.
 * Should GitHub tell the end later, that overrules it.
 *
 * Limits (I12): `LOOKUPS_PER_ROUND` a minute, those of our VMs first, then those that were not asked for the longest; each at most
 * every `AGAIN_MS`.
 */
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { isOpen, UNKNOWN_CONCLUSION, type WorkflowJob } from '@mig/common/domain/workflow-job';
import { GitHubCallError, type GitHubClient } from '../client/github-client.js';
import { toJobAnswer } from './github-job.js';
import type { WorkflowJobBook } from './job-book.js';

const MINUTE_MS = 60_000;
const INTERVAL_MS = MINUTE_MS;
const LOOKUPS_PER_ROUND = 10;
const AGAIN_MS = 10 * MINUTE_MS;
/** A 404 of a repository that we have not seen anything of is believed after this. */
const GONE_AFTER_MS = 24 * 60 * MINUTE_MS;
/** Repositories that are remembered as readable. */
const MAX_READABLE = 10_000;

/** What the VM says of a job that GitHub has on it. `elsewhere`: its runner is none of ours. */
export type JobOnVm = 'running' | 'notThere' | 'elsewhere';

/** How long nothing may be heard of a job before it is asked for. */
function patienceMs({ status }: WorkflowJob, where: JobOnVm): number | undefined {
  switch (status) {
    case 'completed':
      return undefined;
    case 'in_progress':
      return { running: undefined, notThere: 2 * MINUTE_MS, elsewhere: 60 * MINUTE_MS }[where];
    case 'waiting': // for a person
    case 'pending':
      return 60 * MINUTE_MS;
    case 'requested':
    case 'queued':
      return 10 * MINUTE_MS;
  }
}

export interface JobLookupStatus {
  /** Since the start of the controller. `corrected`: GitHub said something new. */
  readonly asked: number;
  readonly corrected: number;
  readonly closed: number;
  readonly problem: string | undefined;
}

export interface JobLookup {
  start(): void;
  /** One round, now; of two at a time there is one. Never rejects. */
  round(): Promise<void>;
  status(): JobLookupStatus;
  /** Resolves when no round is under way. */
  settled(): Promise<void>;
  /** Begins no other; resolves as `settled`. */
  stop(): Promise<void>;
}

export interface JobLookupDeps {
  readonly jobs: WorkflowJobBook;
  readonly client: Pick<GitHubClient, 'call'>;
  readonly whereIs: (job: WorkflowJob) => JobOnVm;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createJobLookup({ jobs, client, whereIs, clock, logger }: JobLookupDeps): JobLookup {
  /** When each open job was asked for last, by the monotonic clock. */
  const asked = new Map<string, number>();
  const readable = new Set<string>();
  const counts = { asked: 0, corrected: 0, closed: 0 };
  let running: Promise<void> | undefined;
  let timer: unknown;
  let stopped = false;
  let problem: string | undefined;

  const keyOf = ({ id, runAttempt }: WorkflowJob): string => `${id}-${runAttempt}`;

  function due(): WorkflowJob[] {
    const now = clock.now();
    const nowMs = clock.monotonicMs();
    const found: { job: WorkflowJob; isOurs: boolean; askedAtMs: number }[] = [];
    for (const job of jobs.open()) {
      const silentMs = now - job.updatedAt;
      if (silentMs < 2 * MINUTE_MS) continue; // no patience is shorter: the VM need not be looked up
      const askedAtMs = asked.get(keyOf(job));
      if (askedAtMs !== undefined && nowMs - askedAtMs < AGAIN_MS) continue;
      const where = job.status === 'in_progress' ? whereIs(job) : 'elsewhere';
      const patience = patienceMs(job, where);
      if (patience === undefined || silentMs < patience) continue;
      found.push({ job, isOurs: where !== 'elsewhere', askedAtMs: askedAtMs ?? -1 });
    }
    return found
      .sort(
        (a, b) =>
          Number(b.isOurs) - Number(a.isOurs) ||
          a.askedAtMs - b.askedAtMs ||
          a.job.updatedAt - b.job.updatedAt,
      )
      .slice(0, LOOKUPS_PER_ROUND)
      .map(({ job }) => job);
  }

  async function lookUp(job: WorkflowJob): Promise<void> {
    const [owner = '', repo = ''] = job.repository.split('/');
    counts.asked += 1;
    asked.set(keyOf(job), clock.monotonicMs());
    let answer: unknown;
    try {
      const { data } = await client.call({ kind: 'repo', owner, repo }, 'listing', (octokit, request) =>
        octokit.rest.actions.getJobForWorkflowRun({ owner, repo, job_id: Number(job.id), request }),
      );
      answer = data;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await notFound(job);
      return;
    }
    if (readable.size < MAX_READABLE) readable.add(job.repository);
    const said = toJobAnswer(answer);
    if (said === undefined) throw new Error(`GitHub's answer for job ${job.id} is not understood`);
    // Its attempt is the one that the webhooks told of: a job has an id of its own in each.
    const news = { id: job.id, runAttempt: job.runAttempt, ...said, at: clock.now() };
    if ((await jobs.take(news)) === 'unchanged') return;
    counts.corrected += 1;
    logger.info(
      { event: 'job_looked_up', ...factsOf(job), was: job.status, is: said.status },
      'a job has moved, and no webhook told of it',
    );
  }

  async function notFound(job: WorkflowJob): Promise<void> {
    const isBelieved = readable.has(job.repository) || clock.now() - job.updatedAt >= GONE_AFTER_MS;
    if (!isBelieved) {
      problem = `GitHub shows no job ${job.id} of ${job.repository}: the App or token may lack the right to read its Actions`;
      return;
    }
    await jobs.take({
      id: job.id,
      runAttempt: job.runAttempt,
      status: 'completed',
      details: { conclusion: UNKNOWN_CONCLUSION },
      guessed: true,
      at: clock.now(),
    });
    counts.closed += 1;
    logger.warn(
      { event: 'job_gone', ...factsOf(job), was: job.status },
      'GitHub does not know a job any more: it has ended, and how will not be heard',
    );
  }

  const factsOf = ({ id, repository, name, runnerName }: WorkflowJob) => ({
    jobId: id,
    repository,
    job: name,
    runner: runnerName,
  });

  async function runRound(): Promise<void> {
    problem = undefined;
    for (const key of asked.keys()) {
      const [id = '', attempt = ''] = key.split('-');
      const job = jobs.get(id, Number(attempt));
      if (job === undefined || !isOpen(job)) asked.delete(key);
    }
    for (const job of due()) {
      if (stopped) return;
      try {
        await lookUp(job);
      } catch (error) {
        problem = errorMessage(error);
        logger.warn({ ...factsOf(job), reason: problem }, 'a job could not be looked up');
        if (isForAll(error)) return;
      }
    }
  }

  function round(): Promise<void> {
    running ??= runRound()
      .catch((error: unknown) => logger.error({ err: error }, 'jobs could not be looked up'))
      .finally(() => (running = undefined));
    return running;
  }

  function schedule(): void {
    timer = clock.setTimer(() => {
      void round().finally(() => {
        if (!stopped) schedule();
      });
    }, INTERVAL_MS);
  }

  return {
    start: schedule,
    round,
    status: () => ({ ...counts, problem }),
    settled: async () => running,
    async stop() {
      stopped = true;
      clock.clearTimer(timer);
      await running;
    },
  };
}

/** GitHub's answer to the question itself: that the App is not installed there says nothing of the job. */
const isNotFound = (error: unknown): boolean =>
  error instanceof GitHubCallError && error.failure === 'refused' && error.status === 404;

/** Nothing else would go better now. A refusal, and credentials of one place, are of that job alone. */
const isForAll = (error: unknown): boolean =>
  error instanceof GitHubCallError && error.failure !== 'refused' && error.failure !== 'credentials';
