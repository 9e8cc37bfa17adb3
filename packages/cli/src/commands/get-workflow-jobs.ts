import type { WorkflowJobFilter } from '../api/client.js';
import { mapConcurrently } from '../concurrency.js';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { assertVmNames } from '../operate/targets.js';
import { printListing, type FormatOptions } from '../output/format.js';
import type { Session } from '../session.js';
import { workflowJobListing } from './workflow-job-columns.js';

/** `get workflow-jobs [ID...]`: all, newest last, those of a filter, or those that are named; one id gives one object. */
export async function getWorkflowJobs(
  session: Session,
  ids: readonly string[],
  filter: WorkflowJobFilter,
  options: FormatOptions,
): Promise<ExitCode> {
  assertIds(ids);
  assertRepository(filter.repository);
  if (filter.vm !== undefined) assertVmNames([filter.vm]);
  const filtered = Object.values(filter).some((value) => value !== undefined);
  if (ids.length > 0 && filtered) {
    throw new UsageError(
      'ids of workflow jobs and the filters --status, --repo and --vm exclude each other',
      'give ids, or filters',
    );
  }
  const { client, io } = session;
  // The list of a VM that does not exist is empty; a name that is misspelt is to be heard of.
  if (filter.vm !== undefined) await client.getVm(filter.vm);
  const jobs =
    ids.length === 0
      ? await client.listWorkflowJobs(filter)
      : await mapConcurrently(ids, (id) => client.getWorkflowJob(id));
  if (jobs.length === 0) {
    io.stderr.write(filtered ? 'No workflow job matches.\n' : 'No webhook has told of a workflow job yet.\n');
  }
  await printListing(io.stdout, workflowJobListing(session, jobs, ids.length === 1), options);
  return EXIT.done;
}

/** @throws UsageError */
function assertIds(ids: readonly string[]): void {
  const wrong = ids.find((id) => !/^[1-9][0-9]{0,18}$/.test(id));
  if (wrong === undefined) return;
  throw new UsageError(
    `${JSON.stringify(wrong)} cannot be the id of a workflow job: it is a number of GitHub's`,
    'see `migctl get workflow-jobs`',
  );
}

/** @throws UsageError */
function assertRepository(repository: string | undefined): void {
  if (repository === undefined || /^[^/\s]+\/[^/\s]+$/.test(repository)) return;
  throw new UsageError(
    `--repo ${JSON.stringify(repository)} is not a repository`,
    'write OWNER/REPOSITORY, for example acme/app',
  );
}
