import type { DrainState } from '@mig/common/domain/drain';
import { mapConcurrently } from '../concurrency.js';
import { drainListing } from '../drains/drain-columns.js';
import { assertDrainIds } from '../drains/drain-text.js';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { printListing, type FormatOptions } from '../output/format.js';
import type { Session } from '../session.js';

/** `get drains [ID...]`: all, oldest first, or those of a state, or those that are named; one id gives one object. */
export async function getDrains(
  session: Session,
  ids: readonly string[],
  filter: { readonly state?: DrainState | undefined },
  options: FormatOptions,
): Promise<ExitCode> {
  assertDrainIds(ids);
  const filtered = filter.state !== undefined;
  if (ids.length > 0 && filtered) {
    throw new UsageError(
      'ids of drains and the filter --state exclude each other',
      'give ids, or the filter',
    );
  }
  const { client, io } = session;
  const drains =
    ids.length === 0
      ? await client.listDrains(filter)
      : await mapConcurrently(ids, (id) => client.getDrain(id));
  if (drains.length === 0) io.stderr.write(filtered ? 'No drain matches.\n' : 'No drain was made yet.\n');
  await printListing(io.stdout, drainListing(session, drains, ids.length === 1), options);
  return EXIT.done;
}
