/** What only looks at jobs and nodes: get, describe, why, logs. */
import { gapEventSchema, outputEventSchema } from '@mig/common/api/task-resource';
import { isValidId } from '@mig/common/domain/ids';
import { readEventStream } from '../api/event-stream.js';
import { cancelJob, getJob, listJobs, listNodes, whyJob, type JobFilter } from '../api/job-calls.js';
import { mapConcurrently } from '../concurrency.js';
import { CliError, EXIT, UsageError, type ExitCode } from '../errors.js';
import { printListing, printResults, type Format, type FormatOptions } from '../output/format.js';
import { safe } from '../output/text.js';
import type { Session } from '../session.js';
import { directSink } from '../tasks/exec.js';
import { jobListing, nodeListing } from './job-columns.js';

/** @throws UsageError */
export function assertIds(what: string, ids: readonly string[]): void {
  const wrong = ids.find((id) => !isValidId(id));
  if (wrong !== undefined)
    throw new UsageError(
      `${JSON.stringify(safe(wrong))} cannot be the id of a ${what}`,
      `see \`migctl get ${what}s\``,
    );
}

/** `get jobs [ID...]`: oldest first. */
export async function getJobs(
  session: Session,
  ids: readonly string[],
  filter: JobFilter,
  options: FormatOptions,
): Promise<ExitCode> {
  assertIds('job', ids);
  const filtered = Object.values(filter).some((value) => value !== undefined);
  if (ids.length > 0 && filtered)
    throw new UsageError('job ids and filters exclude each other', 'give ids, or filters');
  const { client, io } = session;
  const jobs =
    ids.length === 0
      ? await listJobs(client, filter)
      : await mapConcurrently(ids, (id) => getJob(client, id));
  if (jobs.length === 0) io.stderr.write(filtered ? 'No job matches.\n' : 'No job was submitted yet.\n');
  await printListing(io.stdout, jobListing(session, jobs, ids.length === 1), options);
  return EXIT.done;
}

/** `get nodes [NODE...]`. */
export async function getNodes(
  session: Session,
  names: readonly string[],
  options: FormatOptions,
): Promise<ExitCode> {
  const all = await listNodes(session.client);
  const missing = names.find((name) => !all.some(({ node_id }) => node_id === name));
  if (missing !== undefined)
    throw new CliError(
      'unknown-node',
      `no node ${safe(missing)} has sent a heartbeat`,
      EXIT.failed,
      'see `migctl get nodes`',
    );
  const nodes = names.length === 0 ? all : all.filter(({ node_id }) => names.includes(node_id));
  if (nodes.length === 0) session.io.stderr.write('No node has sent a heartbeat yet.\n');
  await printListing(session.io.stdout, nodeListing(session, nodes, names.length === 1), options);
  return EXIT.done;
}

/** `why job ID`: in one line, and by reason. */
export async function explainJob(session: Session, id: string, output: Format): Promise<ExitCode> {
  assertIds('job', [id]);
  const why = await whyJob(session.client, id);
  if (output !== 'table') {
    await printListing(
      session.io.stdout,
      { rows: [why], value: why, columns: [], wideColumns: [], nameOf: ({ job_id }) => job_id },
      { output, headers: true },
    );
    return EXIT.done;
  }
  session.io.stdout.write(`${safe(id)} is ${why.state}: ${safe(why.summary)}\n`);
  if (why.state !== 'queued') return EXIT.done;
  session.io.stdout.write(
    why.reasons
      .map(
        ({ reason, count, nodes }) =>
          `  ${count} ${safe(reason)}: ${safe(nodes.join(', '))}${count > nodes.length ? ', …' : ''}\n`,
      )
      .join(''),
  );
  return EXIT.done;
}

/** `logs job ID`: what it wrote; with `follow`, until it ends or Ctrl-C. @param path of the job or task */
export async function showLogs(session: Session, path: string, follow: boolean): Promise<ExitCode> {
  const { io } = session;
  const sink = directSink(session);
  const signal = AbortSignal.any([io.interrupted, io.stdout.closed]);
  for await (const { type, data } of readEventStream(
    { session, signal },
    `${path}/output?follow=${follow}`,
  )) {
    const value: unknown = JSON.parse(data);
    if (type === 'output') {
      const { stream, text, base64 } = outputEventSchema.parse(value);
      await sink.write(stream, text ?? Buffer.from(base64 ?? '', 'base64'));
    } else if (type === 'gap') sink.gap(gapEventSchema.parse(value).cut_bytes);
  }
  return io.interrupted.aborted ? EXIT.interrupted : EXIT.done;
}

/** `cancel job ID...`: those that it made are cancelled with it. */
export async function cancelJobs(
  session: Session,
  ids: readonly string[],
  output: Format,
): Promise<ExitCode> {
  assertIds('job', ids);
  const jobs = await mapConcurrently([...new Set(ids)], (id) => cancelJob(session.client, id));
  await printResults(session.io.stdout, jobListing(session, jobs, ids.length === 1), {
    output,
    lineOf: ({ id }) => `${id}: cancelled`,
    summary: () => `${jobs.length} jobs are cancelled`,
  });
  return EXIT.done;
}
