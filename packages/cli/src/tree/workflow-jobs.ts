/** `get workflow-jobs`: the jobs of GitHub's workflows, as webhooks told of them. */
import { Option, type Command } from 'commander';
import { WORKFLOW_JOB_STATUSES, type WorkflowJobStatus } from '@mig/common/domain/workflow-job';
import { formatOption, noHeadersOption, withExamples, type Act, type ListOptions } from './options.js';

interface Flags extends ListOptions {
  readonly status?: WorkflowJobStatus | 'open';
  readonly repo?: string;
  readonly vm?: string;
}

export function addGetWorkflowJobs(get: Command, act: Act): void {
  const jobs = get
    .command('workflow-jobs')
    .alias('workflow-job')
    .description("jobs of GitHub's workflows: what waits, what runs and where, and how it ended; newest last")
    .argument('[workflow-job-id...]', "GitHub's numbers of jobs")
    .addOption(
      new Option(
        '--status <status>',
        'only jobs in this status; open stands for all that have not ended',
      ).choices(['open', ...WORKFLOW_JOB_STATUSES]),
    )
    .option('--repo <owner/repository>', 'only jobs of this repository')
    .addOption(new Option('--vm <vm>', 'only jobs whose runner is on this VM'))
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action((ids: string[], options: Flags, command: Command) =>
      act(command, async (session) => {
        const { getWorkflowJobs } = await import('../commands/get-workflow-jobs.js');
        const { status, repo, vm } = options;
        return getWorkflowJobs(session, ids, { status, repository: repo, vm }, options);
      }),
    );
  withExamples(jobs, [
    'migctl get workflow-jobs --status open',
    'migctl get workflow-jobs --status queued --repo acme/app -o wide',
    'migctl get workflow-jobs --vm demo-vm-1',
    'migctl get workflow-job 2832853555 -o yaml',
  ]);
}
