/** `submit FILE...`: every file is checked before any is sent, so that a fault in one queues nothing. */
import { readFileSync } from 'node:fs';
import { readJobSpec, type ReadSpec, type SpecFault } from '@mig/common/api/job-spec-text';
import { errorMessage } from '@mig/common/errors';
import type { Client } from '../api/client.js';
import { checkJob, submitJob } from '../api/job-calls.js';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { printListing, type Format } from '../output/format.js';
import { count, safe } from '../output/text.js';
import type { Session } from '../session.js';
import { jobListing } from './job-columns.js';

type Spec = Extract<ReadSpec, { kind: 'ok' }> & { readonly file: string };

export async function submitJobs(
  session: Session,
  files: readonly string[],
  submitter: string | undefined,
  output: Format,
): Promise<ExitCode> {
  const { io, client, colours } = session;
  const specs: Spec[] = [];
  let faultCount = 0;
  const tell = (file: string, { path, line, message }: SpecFault): void => {
    faultCount += 1;
    const where = path === '' ? '' : `${safe(path)}: `;
    io.stderr.write(`${colours.bold(`${safe(file)}:${line}:`)} ${where}${safe(message)}\n`);
  };
  for (const file of files) {
    const read = readJobSpec(readText(file));
    if (read.kind === 'faulty') for (const fault of read.faults) tell(file, fault);
    else specs.push({ file, ...read });
  }
  if (faultCount === 0) {
    for (const [at, { file, value, lineOf }] of specs.entries())
      for (const fault of await faultsAtController(client, value, specs.slice(0, at)))
        tell(file, { ...fault, line: lineOf(fault.path) });
  }
  if (faultCount > 0) {
    throw new UsageError(
      `${count(faultCount, 'fault')}; nothing was submitted`,
      'see `migctl example job` for a job with every field',
    );
  }
  const jobs = [];
  for (const { value } of specs) jobs.push(await submitJob(client, value, submitter, io.newKey()));
  if (output === 'table')
    io.stdout.write(
      jobs.map(({ id, spec, state }) => `${safe(id)}: ${safe(spec.name)} is ${state}\n`).join(''),
    );
  else await printListing(io.stdout, jobListing(session, jobs, jobs.length === 1), { output, headers: true });
  return EXIT.done;
}

/** What only the controller knows to be wrong. @param earlier are submitted before: it may depend on them by name */
async function faultsAtController(
  client: Client,
  value: unknown,
  earlier: readonly Spec[],
): Promise<{ path: string; message: string }[]> {
  const names = new Set(earlier.map(({ spec }) => spec.name));
  const { depends_on: dependsOn = [] } = value as { depends_on?: readonly string[] };
  const isComing = (path: string): boolean =>
    dependsOn.some((name, at) => path === `depends_on[${at}]` && names.has(name));
  return (await checkJob(client, value)).filter(({ path }) => !isComing(path));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${errorMessage(error)}`);
  }
}
