/** `submit FILE...`: every file is checked before any is sent, so that a fault in one queues nothing. */
import { readFileSync } from 'node:fs';
import { readJobSpec } from '@mig/common/api/job-spec-text';
import { errorMessage } from '@mig/common/errors';
import { submitJob } from '../api/job-calls.js';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { printListing, type Format } from '../output/format.js';
import { count, safe } from '../output/text.js';
import type { Session } from '../session.js';
import { jobListing } from './job-columns.js';

export async function submitJobs(
  session: Session,
  files: readonly string[],
  submitter: string | undefined,
  output: Format,
): Promise<ExitCode> {
  const { io, client, colours } = session;
  const specs: unknown[] = [];
  let faultCount = 0;
  for (const file of files) {
    const read = readJobSpec(readText(file));
    if (read.kind === 'ok') {
      specs.push(read.value);
      continue;
    }
    faultCount += read.faults.length;
    for (const { path, line, message } of read.faults)
      io.stderr.write(
        `${colours.bold(`${safe(file)}:${line}:`)} ${path === '' ? '' : `${safe(path)}: `}${safe(message)}\n`,
      );
  }
  if (faultCount > 0) {
    throw new UsageError(
      `${count(faultCount, 'fault')}; nothing was submitted`,
      'see `migctl example job` for a job with every field',
    );
  }
  const jobs = [];
  for (const spec of specs) jobs.push(await submitJob(client, spec, submitter, io.newKey()));
  if (output === 'table')
    io.stdout.write(
      jobs.map(({ id, spec, state }) => `${safe(id)}: ${safe(spec.name)} is ${state}\n`).join(''),
    );
  else await printListing(io.stdout, jobListing(session, jobs, jobs.length === 1), { output, headers: true });
  return EXIT.done;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${errorMessage(error)}`);
  }
}
