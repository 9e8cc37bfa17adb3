#!/usr/bin/env node
/** The MIGlet as a process: reads its configuration, runs the machine to its end, says how it ended by its exit code. */
import os from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '@mig/common/clock';
import { readCommandLine } from '@mig/common/config/command-line';
import { DirectoryInUseError } from '@mig/common/directory-lock';
import { isValidId } from '@mig/common/domain/ids';
import { errorMessage } from '@mig/common/errors';
import { createLogger } from '@mig/common/logger';
import { migletConfigSchema } from './config.js';
import { LinkTlsError, readLinkTls } from './controller-link/link-tls.js';
import { exposuresOf } from './exposures.js';
import { createHost } from './host/host.js';
import { startMiglet } from './miglet.js';
import { RunnerUserError, findUser } from './runner/user.js';

const HELP = `Usage: miglet [--config FILE] [--vm-id ID] [--pool-id ID] [--log-level LEVEL]

Runs the agent of one VM: announces it to its controller, keeps one GitHub Actions runner, does what the controller says.
Settings: flags > environment (MIGLET_…) > file > defaults; config/miglet.yaml lists them all. SIGTERM or SIGINT drains and
ends it: a running job ends first. A second signal ends the job too.

Exit codes: 0 ended as asked, 1 the VM could not be brought into service or the MIGlet could not start, 2 wrong configuration.

Example:
  MIGLET_CONTROLLER_ENDPOINT=http://controller:8080 miglet --config /etc/mig/miglet.yaml --vm-id runner-7
`;

/** From the start until the MIGlet has come to rest, in most cases. */
const SETTLE_MS = 5_000;

/** npm and a terminal may both pass on the one Ctrl-C of a person: signals this close together are one. */
const SAME_SIGNAL_MS = 500;

const hostName = os.hostname();
const PROGRAM = {
  name: 'miglet',
  help: HELP,
  envPrefix: 'MIGLET',
  schema: migletConfigSchema(isValidId(hostName) ? hostName : 'vm'),
  flags: { 'vm-id': 'vm_id', 'pool-id': 'pool_id', 'log-level': 'log.level' },
};

async function main(): Promise<number> {
  const { env, stdout, stderr } = process;
  const commandLine = readCommandLine(PROGRAM, { args: process.argv.slice(2), env, stdout, stderr });
  if (commandLine.kind === 'exit') return commandLine.code;
  const { config, unknownVariables } = commandLine;
  const logger = createLogger({ name: 'miglet', level: config.log.level, bindings: { vmId: config.vm_id } });
  for (const name of unknownVariables)
    logger.warn({ variable: name }, 'an environment variable names no setting; it is ignored');

  try {
    if (config.controller.endpoint.startsWith('https:')) readLinkTls(config.controller.tls);
  } catch (error) {
    if (!(error instanceof LinkTlsError)) throw error;
    // Not the exit code of a wrong configuration: whoever starts the VM may put the file there a moment later.
    process.stderr.write(`miglet: ${error.message}\n`);
    return 1;
  }
  let host;
  try {
    host = createHost({ config, env: process.env, logger });
  } catch (error) {
    if (error instanceof DirectoryInUseError) {
      process.stderr.write(`miglet: ${error.message}\n`);
      return 1;
    }
    if (error instanceof RunnerUserError) {
      process.stderr.write(`miglet: ${error.message}\n`);
      return 2;
    }
    process.stderr.write(
      `miglet: the state folder ${config.state_dir} cannot be used (${errorMessage(error)}): give this user the right to write there, free space, or set state_dir\n`,
    );
    return 1;
  }
  for (const exposure of exposuresOf(config, isOwnUser(config.runner.user)))
    logger.warn({ event: 'insecure' }, exposure);
  // Before anything runs, so that a signal is never met by its default.
  const early: { name: string; force: boolean }[] = [];
  let onSignal: (name: string, force: boolean) => void = (name, force) => early.push({ name, force });
  let firstSignalAtMs: number | undefined;
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      const nowMs = systemClock.monotonicMs();
      if (firstSignalAtMs !== undefined && nowMs - firstSignalAtMs < SAME_SIGNAL_MS) return;
      const force = firstSignalAtMs !== undefined;
      firstSignalAtMs ??= nowMs;
      logger.info(
        { event: 'signal', signal: name, force },
        force ? 'a second signal: the job is ended' : 'a signal: the VM drains and ends',
      );
      onSignal(name, force);
    });
  }
  const miglet = startMiglet({ config, host, clock: systemClock, logger, random: Math.random });
  onSignal = (name, force) => miglet.shutdown(name, force);
  for (const { name, force } of early) onSignal(name, force);

  // Nothing else may keep the process: its timers do not.
  const alive = setInterval(() => undefined, 60_000);
  const settle = setTimeout(collectStartUpGarbage, SETTLE_MS);
  const ending = await miglet.ended;
  host.release();
  clearInterval(alive);
  clearTimeout(settle);
  return ending.outcome === 'failed' ? 1 : 0;
}

/** @param user `runner.user` */
const isOwnUser = (user: string): boolean =>
  user === '' || findUser(user, '/etc/passwd')?.uid === process.getuid?.();

/**
 * Gives back what start-up needed and nothing needs any more. The collector would come to it by itself, but only when a
 * process that does next to nothing has filled its heap again: minutes later, on a VM whose memory is for jobs.
 */
function collectStartUpGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (() => void) | undefined;
  setFlagsFromString('--no-expose-gc');
  collect?.();
}

process.exitCode = await main();
// Nothing is left to do; a library's idle socket must not hold the process.
process.exit();
