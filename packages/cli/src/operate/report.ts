/** What a command to VMs has come to: the good on stdout, each VM that failed on stderr, and the exit code. */
import type { CommandResource } from '@mig/common/api/command-resource';
import { EXIT, type ExitCode } from '../errors.js';
import { printResults } from '../output/format.js';
import { count, safe } from '../output/text.js';
import { formatAge } from '../output/time.js';
import { commandListing } from '../commands/command-columns.js';
import type { Session } from '../session.js';
import { reportRefused } from './each-vm.js';
import { describeWaiting, hasSucceeded, isSettled, type Followed } from './followed.js';
import type { Operation, OperationOptions } from './operation.js';
import type { Submitted } from './submit.js';
import type { Targets } from './targets.js';

/** The command line that shows what becomes of the commands of these VMs. */
export const howToLook = ({ serverFlag }: Session, vmIds: readonly string[]): string =>
  `migctl get commands${vmIds.length === 1 ? ` --vm ${vmIds[0] ?? ''}` : ''}${serverFlag}`;

/** After submitting, when nothing is waited for. @throws CliError if there is one VM and it was refused */
export async function reportSubmitted(
  session: Session,
  operation: Operation,
  targets: Targets,
  submitted: Submitted,
  options: OperationOptions,
): Promise<ExitCode> {
  const { answers: commands, refused, unsent, stoppedBy } = submitted;
  if (commands.length === 0 && stoppedBy !== undefined) {
    reportRefused(session.io.stderr, submitted.refused);
    throw stoppedBy;
  }
  const onlyRefusal = targets.vmIds.length === 1 ? refused[0] : undefined;
  if (onlyRefusal !== undefined) throw onlyRefusal.error;
  await printCommands(
    session,
    commands,
    options,
    ({ vm_id, id }) => `${vm_id}: ${operation.noun} submitted (${id})`,
    () => {
      return `${operation.noun} submitted to ${count(commands.length, 'VM')}`;
    },
  );
  reportRefused(session.io.stderr, submitted.refused);
  if (stoppedBy !== undefined) {
    const { stderr } = session.io;
    stderr.write(
      `error: ${safe(stoppedBy.message)}: not submitted to, as far as is known: ${unsent.join(', ')}\n`,
    );
    stderr.write(
      `hint: the ${operation.noun} of the others goes on; look at it with: ${howToLook(session, [])}\n`,
    );
    return stoppedBy.exitCode;
  }
  return refused.length > 0 ? EXIT.failed : EXIT.done;
}

/** After `--wait`. A VM that failed outweighs one that is not ready yet. */
export async function reportWaited(
  session: Session,
  operation: Operation,
  submitted: Submitted,
  followed: readonly Followed[],
  options: OperationOptions & { readonly tookMs: number },
): Promise<ExitCode> {
  const { stderr, clock } = session.io;
  const settled = followed.filter((one) => isSettled(one, operation.endsVm));
  const succeeded = new Set(settled.filter(hasSucceeded).map(({ command }) => command.id));
  const failed = settled.filter((one) => !hasSucceeded(one));
  const late = followed.filter((one) => !settled.includes(one));
  const took = formatAge(options.tookMs);
  const isTable = options.output === 'table' || options.output === 'wide';
  const good = followed.filter(({ command }) => succeeded.has(command.id)).map(({ command }) => command);
  const shown = isTable ? good : followed.map(({ command }) => command);
  await printCommands(
    session,
    shown,
    options,
    ({ vm_id }) => `${vm_id}: ${operation.done}${followed.length === 1 ? ` in ${took}` : ''}`,
    () => {
      return `${count(good.length, 'VM')} ${operation.done} in ${took}`;
    },
  );
  for (const one of failed) stderr.write(`error: ${one.vmId}: ${failureText(operation, one)}\n`);
  reportRefused(session.io.stderr, submitted.refused);
  const badCount = failed.length + submitted.refused.length;
  if (late.length > 0) {
    const nowMs = clock.now();
    stderr.write(
      `error: timed out after ${formatAge(options.timeoutMs)}: ${late.length} of ${count(followed.length, 'VM')} not done\n`,
    );
    for (const one of late) stderr.write(`  ${one.vmId}: ${describeWaiting(one, nowMs).text}\n`);
    const look = howToLook(
      session,
      late.map(({ vmId }) => vmId),
    );
    stderr.write(`hint: the ${operation.noun} goes on; look at it with: ${look}\n`);
  }
  if (badCount > 0) {
    if (followed.length + submitted.refused.length > 1) {
      stderr.write(`${badCount} of ${count(followed.length + submitted.refused.length, 'VM')} failed\n`);
    }
    return EXIT.failed;
  }
  return late.length > 0 ? EXIT.timedOut : EXIT.done;
}

function failureText({ noun }: Operation, { command, forgotten }: Followed): string {
  if (forgotten)
    return `the controller no longer knows command ${command.id}: whether it took effect is not known`;
  const message = command.message === undefined || command.message === '' ? '' : `: ${safe(command.message)}`;
  return `${noun} ${command.state}${message} (${command.id})`;
}

const printCommands = (
  session: Session,
  commands: readonly CommandResource[],
  { output }: OperationOptions,
  lineOf: (command: CommandResource) => string,
  summary: () => string,
): Promise<void> =>
  printResults(session.io.stdout, commandListing(session, commands, commands.length === 1), {
    output,
    lineOf,
    summary,
  });
