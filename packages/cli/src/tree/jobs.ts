/** Commands about jobs: submit, get jobs|nodes, describe job, logs, cancel job, example, why. */
import { Option, type Command } from 'commander';
import { JOB_STATES, type JobState } from '@mig/common/domain/job-state';
import type { Format } from '../output/format.js';
import { groupOf } from './groups.js';
import { refuseUnknownResource } from './observe.js';
import {
  formatOption,
  idArgument,
  noHeadersOption,
  pageFormatOption,
  withExamples,
  type Act,
  type ListOptions,
  type PageOptions,
} from './options.js';

export function addJobs(program: Command, act: Act): void {
  addSubmit(program, act);
  addLooks(program, act);
  addLogs(program, act);
  addExample(program, act);
  addWhy(program, act);
}

function addSubmit(program: Command, act: Act): void {
  const submit = program
    .command('submit')
    .description(
      'put jobs into the queue; a fault in any file is named with its line, and nothing is submitted',
    )
    .argument('<file...>', 'specifications, as YAML or JSON; see `migctl example job`')
    .addOption(
      new Option('--as <submitter>', 'who submits; the queue is fair between submitters').argParser(
        idArgument,
      ),
    )
    .addOption(formatOption())
    .action((files: string[], options: { as?: string; output: Format }, command: Command) =>
      act(command, async (session) => {
        const { submitJobs } = await import('../jobs/submit.js');
        return submitJobs(session, files, options.as, options.output);
      }),
    );
  withExamples(submit, ['migctl example job > job.yaml', 'migctl submit job.yaml']);
}

function addLooks(program: Command, act: Act): void {
  const jobs = groupOf(program, 'get')
    .command('jobs')
    .alias('job')
    .description('jobs and what became of them, oldest first')
    .argument('[job-id...]', 'ids of jobs')
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(JOB_STATES))
    .addOption(new Option('--submitter <submitter>', 'only jobs of this submitter').argParser(idArgument))
    .addOption(new Option('--name <name>', 'only jobs of this name').argParser(idArgument))
    .addOption(new Option('--parent <job-id>', 'only those that this job made').argParser(idArgument))
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action(
      (
        ids: string[],
        options: ListOptions & { state?: JobState; submitter?: string; name?: string; parent?: string },
        command: Command,
      ) =>
        act(command, async (session) => {
          const { getJobs } = await import('../jobs/observe-jobs.js');
          const { state, submitter, name, parent } = options;
          return getJobs(session, ids, { state, submitter, name, parentId: parent }, options);
        }),
    );
  withExamples(jobs, ['migctl get jobs --state queued', 'migctl get job job-01h2x3 -o yaml']);

  const nodes = groupOf(program, 'get')
    .command('nodes')
    .alias('node')
    .description('nodes that take jobs: what they have, and what their jobs use of it')
    .argument('[node...]', 'names of nodes')
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action((names: string[], options: ListOptions, command: Command) =>
      act(command, async (session) => {
        const { getNodes } = await import('../jobs/observe-jobs.js');
        return getNodes(session, names, options);
      }),
    );
  withExamples(nodes, ['migctl get nodes', 'migctl get nodes -o wide']);

  const describe = groupOf(program, 'describe')
    .command('job')
    .alias('jobs')
    .description('what a job is, what it waits for, and what happened to it')
    .argument('<job-id...>', 'ids of jobs; see `migctl get jobs`')
    .addOption(pageFormatOption())
    .action((ids: string[], { output }: PageOptions, command: Command) =>
      act(command, async (session) => {
        const { describeJobs } = await import('../jobs/describe-job.js');
        return describeJobs(session, ids, output);
      }),
    );
  withExamples(describe, ['migctl describe job job-01h2x3']);

  const cancel = groupOf(program, 'cancel')
    .command('job')
    .alias('jobs')
    .description('jobs, by id, and those that they made')
    .argument('<job-id...>', 'ids of jobs; see `migctl get jobs`')
    .addOption(formatOption())
    .action((ids: string[], options: { output: Format }, command: Command) =>
      act(command, async (session) => {
        const { cancelJobs } = await import('../jobs/observe-jobs.js');
        return cancelJobs(session, ids, options.output);
      }),
    );
  withExamples(cancel, ['migctl cancel job job-01h2x3']);
}

function addLogs(program: Command, act: Act): void {
  const logs = program
    .command('logs')
    .description('print what a job or a task has written')
    .helpCommand(false)
    .commandsGroup('Resources:');
  refuseUnknownResource(logs);
  withExamples(logs, ['migctl logs job job-01h2x3 -f']);
  for (const kind of ['job', 'task'] as const) {
    const command = logs
      .command(kind)
      .description(`the output of a ${kind}`)
      .argument(`<${kind}-id>`, `id of the ${kind}; see \`migctl get ${kind}s\``)
      .option('-f, --follow', 'go on as it writes, until it ends or Ctrl-C')
      .action((id: string, options: { follow?: true }, self: Command) =>
        act(self, async (session) => {
          const { assertIds, showLogs } = await import('../jobs/observe-jobs.js');
          assertIds(kind, [id]);
          return showLogs(session, `/api/v1/${kind}s/${id}`, options.follow === true);
        }),
      );
    withExamples(command, [`migctl logs ${kind} ${kind}-01h2x3 -f`]);
  }
}

function addExample(program: Command, act: Act): void {
  const example = program
    .command('example')
    .description('print an example to begin with')
    .helpCommand(false)
    .commandsGroup('Resources:');
  refuseUnknownResource(example);
  withExamples(example, ['migctl example job > job.yaml']);
  const job = example
    .command('job')
    .description('a job with every field')
    .action((_options: unknown, command: Command) =>
      act(command, async ({ io }) => {
        const { EXAMPLE_JOB } = await import('../jobs/example-job.js');
        io.stdout.write(EXAMPLE_JOB);
        return 0;
      }),
    );
  withExamples(job, ['migctl example job > job.yaml']);
}

function addWhy(program: Command, act: Act): void {
  const why = program
    .command('why')
    .description('say why something waits')
    .helpCommand(false)
    .commandsGroup('Resources:');
  refuseUnknownResource(why);
  withExamples(why, ['migctl why job job-01h2x3']);
  const job = why
    .command('job')
    .description('why a job has no node yet: what each node lacks')
    .argument('<job-id>', 'id of the job; see `migctl get jobs`')
    .addOption(formatOption(['table', 'json', 'yaml']))
    .action((id: string, options: { output: Format }, command: Command) =>
      act(command, async (session) => {
        const { explainJob } = await import('../jobs/observe-jobs.js');
        return explainJob(session, id, options.output);
      }),
    );
  withExamples(job, ['migctl why job job-01h2x3']);
}
