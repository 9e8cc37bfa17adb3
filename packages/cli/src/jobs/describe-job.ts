/** `describe job ID...`: what it is, what it waits for, and what happened to it. */
import type { JobResource } from '@mig/common/api/job-resource';
import { getJob, whyJob } from '../api/job-calls.js';
import { EXIT, type ExitCode } from '../errors.js';
import { printPages, type Page, type PageFormat } from '../output/format.js';
import { renderTable } from '../output/table.js';
import { keyValues, safe } from '../output/text.js';
import { formatTime, timeAndAge } from '../output/time.js';
import type { Session } from '../session.js';
import { assertIds } from './observe-jobs.js';

export async function describeJobs(
  session: Session,
  ids: readonly string[],
  output: PageFormat,
): Promise<ExitCode> {
  assertIds('job', ids);
  const pages: Page[] = [];
  for (const id of ids) {
    const job = await getJob(session.client, id);
    const { summary } = await whyJob(session.client, id);
    pages.push({ text: pageOf(session, job, summary), value: job });
  }
  await printPages(session.io.stdout, pages, { output, listName: 'jobs' });
  return EXIT.done;
}

function pageOf({ io, colours }: Session, job: JobResource, summary: string): string {
  const nowMs = io.clock.now();
  const { tasks, ...spec } = job.spec as { tasks?: unknown[] } & Record<string, unknown>;
  const facts: [string, string | undefined][] = [
    ['Job', job.id],
    ['Name', job.spec.name],
    ['State', `${job.state}: ${summary}`],
    ['Submitter', job.submitter],
    ['Pools', job.pools?.join(', ')],
    ['Submitted', timeAndAge(job.created_at, nowMs)],
    ['Node', job.node_id],
    ['Try', job.attempt === 0 ? undefined : String(job.attempt)],
    ['Exit code', job.exit_code?.toString()],
    ['Message', job.message],
    ['Made by', job.parent_id],
    ['Next run', job.next_run_at === undefined ? undefined : formatTime(job.next_run_at)],
  ];
  const events = renderTable(
    [
      { title: 'TIME', text: ({ at }) => formatTime(at) },
      { title: 'EVENT', text: ({ type }) => type },
      { title: 'NODE', text: ({ node_id }) => node_id },
      { title: 'MESSAGE', text: ({ message }) => message },
    ],
    job.events,
  );
  return [
    ...facts.flatMap(([title, text]) =>
      text === undefined ? [] : [`${`${title}:`.padEnd(12)}${safe(text)}`],
    ),
    '',
    colours.bold('Specification'),
    ...Object.entries(spec).map(([key, value]) => `  ${safe(key)}: ${safe(JSON.stringify(value))}`),
    ...(tasks ?? []).map((task) => `  task: ${safe(keyValues(task as Record<string, unknown>))}`),
    '',
    colours.bold('Events'),
    events,
  ].join('\n');
}
