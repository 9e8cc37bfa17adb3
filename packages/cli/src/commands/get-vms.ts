import { phaseOf, VM_PHASES } from '@mig/common/domain/vm-state';
import type { VmFilter } from '../api/client.js';
import { mapConcurrently } from '../concurrency.js';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { assertVmNames } from '../operate/targets.js';
import { printListing, type FormatOptions } from '../output/format.js';
import type { Session } from '../session.js';
import { didYouMean } from '../suggest.js';
import { vmListing } from './vm-columns.js';

/** `get vms [NAME...]`: all VMs that the filter lets through, or those that are named; one name gives one object. */
export async function getVms(
  session: Session,
  names: readonly string[],
  filter: VmFilter,
  options: FormatOptions,
): Promise<ExitCode> {
  assertVmNames(names);
  const filtered = Object.values(filter).some((value) => value !== undefined);
  if (names.length > 0 && filtered) {
    throw new UsageError(
      'VM names and the filters --pool, --state, --liveness and --eligible exclude each other',
      'give names, or filters',
    );
  }
  assertState(filter.state);
  const { client, io } = session;
  const vms =
    names.length === 0
      ? await client.listVms(filter)
      : await mapConcurrently(names, (name) => client.getVm(name));
  if (vms.length === 0) {
    io.stderr.write(
      filtered ? 'No VM matches; `migctl get vms` shows all.\n' : 'No VM is known to this controller yet.\n',
    );
  }
  await printListing(io.stdout, vmListing(session, vms, names.length === 1), options);
  return EXIT.done;
}

/** A state that no VM can be in would match nothing, for ever. @throws UsageError naming the phases */
function assertState(state: string | undefined): void {
  if (state === undefined || phaseOf(state) !== undefined) return;
  throw new UsageError(
    `there is no state ${JSON.stringify(state)}${didYouMean(state, VM_PHASES)}`,
    `the phases are ${VM_PHASES.join(', ')}; a state in one is ready.idle, for example`,
  );
}
