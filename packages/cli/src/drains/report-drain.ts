/** What a drain that was waited for has come to: the good on stdout, each VM that is not drained on stderr, and the exit code. */
import type { DrainResource, DrainVmResource } from '@mig/common/api/drain-resource';
import { EXIT, type ExitCode } from '../errors.js';
import { printListing, type Format } from '../output/format.js';
import { count, safe } from '../output/text.js';
import { formatAge } from '../output/time.js';
import type { Session } from '../session.js';
import { drainListing, tookText } from './drain-columns.js';
import { howToReturn, stateAndReason } from './drain-text.js';

/** Most VMs that are named one by one. */
const MAX_NAMED = 20;

/**
 * 0 only if every VM is done. One that failed, was undrained, or came back as another boot is not out of service, so that a
 * script must not go on; it outweighs one that is not ready yet (3).
 *
 * @param drain ended, or still active if time was up
 */
export async function reportDrain(
  session: Session,
  drain: DrainResource,
  { output, timeoutMs }: { readonly output: Format; readonly timeoutMs: number },
): Promise<ExitCode> {
  const { stdout, stderr } = session.io;
  const { vms, counts, state } = drain;
  const bad = vms.filter((vm) => ['failed', 'gone', 'cancelled'].includes(vm.state));
  const late = vms.filter((vm) => vm.state !== 'done' && !bad.includes(vm));
  if (output === 'table') {
    if (counts.done > 0) stdout.write(`${goodText(drain)}\n`);
  } else {
    await printListing(stdout, drainListing(session, [drain], true), { output, headers: true });
  }
  if (state === 'cancelled') stderr.write(`error: ${safe(drain.id)} was taken back\n`);
  name(session, drain, 'error: ', bad);
  if (state === 'active') {
    const waited = formatAge(timeoutMs);
    stderr.write(`error: timed out after ${waited}: ${late.length} of ${count(vms.length, 'VM')} not done\n`);
  }
  name(session, drain, '  ', late);
  if (state === 'active') stderr.write(`hint: the drain goes on; ${howToReturn(session, drain.id)}\n`);
  if (bad.length > 0 && vms.length > 1)
    stderr.write(`${bad.length} of ${count(vms.length, 'VM')} not drained\n`);
  if (bad.length > 0 || state === 'cancelled') return EXIT.failed;
  return late.length > 0 ? EXIT.timedOut : EXIT.done;
}

function goodText({ id, vms, counts, then, created_at, finished_at }: DrainResource): string {
  const [first] = vms;
  const all = counts.done === vms.length;
  const who =
    first !== undefined && vms.length === 1
      ? first.vm_id
      : `${all ? '' : `${counts.done} of `}${count(vms.length, 'VM')}`;
  const took = tookText(created_at, finished_at);
  const done = then === 'shutdown' ? 'drained and shut down' : 'drained';
  return safe(`${who}${vms.length === 1 ? ':' : ''} ${done}${took === '' ? '' : ` in ${took}`} (${id})`);
}

function name(
  { io, serverFlag }: Session,
  { id }: DrainResource,
  prefix: string,
  vms: readonly DrainVmResource[],
): void {
  for (const vm of vms.slice(0, MAX_NAMED))
    io.stderr.write(`${prefix}${safe(vm.vm_id)}: ${stateAndReason(vm)}\n`);
  const rest = vms.length - MAX_NAMED;
  if (rest > 0) {
    io.stderr.write(
      `${prefix}and ${count(rest, 'more VM')}; see \`migctl describe drain ${safe(id)}${serverFlag}\`\n`,
    );
  }
}
