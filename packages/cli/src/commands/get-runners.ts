import type { RunnerFilter } from '../api/client.js';
import { EXIT, type ExitCode } from '../errors.js';
import { runnerListing } from '../github/runner-columns.js';
import { assertVmNames } from '../operate/targets.js';
import { printListing, type FormatOptions } from '../output/format.js';
import type { Session } from '../session.js';

/** `get runners`: GitHub's runners and our VMs side by side. */
export async function getRunners(
  session: Session,
  filter: RunnerFilter,
  options: FormatOptions,
): Promise<ExitCode> {
  if (filter.vmId !== undefined) assertVmNames([filter.vmId]);
  const { client, io } = session;
  const runners = await client.listRunners(filter);
  if (runners.length === 0) io.stderr.write(await whyNone(session, filter));
  await printListing(io.stdout, runnerListing(session, runners), options);
  return EXIT.done;
}

async function whyNone({ client }: Session, filter: RunnerFilter): Promise<string> {
  if (Object.values(filter).some((value) => value !== undefined)) return 'No runner matches.\n';
  const { auth, reconciliation } = await client.getGitHub();
  if (auth === 'none')
    return 'The controller does not sign in at GitHub (github.auth is none): no runner is known.\n';
  return reconciliation?.last_round === undefined
    ? 'GitHub has not been asked for its runners yet: the first round of reconciliation is to come.\n'
    : 'There is no runner of this controller, and no VM says that it has one.\n';
}
