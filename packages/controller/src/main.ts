#!/usr/bin/env node
/** The controller as a process: reads its configuration, runs until a signal, says how it ended by its exit code. */
import { createIsBusy } from '@mig/common/process-load';
import { systemClock } from '@mig/common/clock';
import { readCommandLine } from '@mig/common/config/command-line';
import { MigError, errorMessage } from '@mig/common/errors';
import { createLogger } from '@mig/common/logger';
import { VERSION } from '@mig/common/version';
import { hasTls } from './auth/auth-config.js';
import { controllerConfigSchema } from './config.js';
import { startController } from './controller.js';
import { createProxiedFetch, proxySettingsOf } from './github/client/fetch.js';
import { setUpV8 } from './v8-settings.js';

const HELP = `Usage: controller [--config FILE] [--data-dir DIR] [--http-port PORT] [--grpc-port PORT] [--log-level LEVEL]

Runs the controller of a fleet of GitHub Actions runner VMs. Settings: flags > environment (CONTROLLER_…) > file > defaults;
config/controller.yaml lists them all. SIGTERM or SIGINT ends it in order.

Exit codes: 0 ended by a signal, 1 could not start or failed, 2 wrong configuration.

Example:
  controller --config /etc/mig/controller.yaml --log-level debug
`;

const PROGRAM = {
  name: 'controller',
  help: HELP,
  envPrefix: 'CONTROLLER',
  schema: controllerConfigSchema,
  flags: {
    'data-dir': 'data_dir',
    'http-port': 'http.port',
    'grpc-port': 'grpc.port',
    'log-level': 'log.level',
  },
};

async function main(): Promise<number> {
  const { env, stdout, stderr } = process;
  const commandLine = readCommandLine(PROGRAM, { args: process.argv.slice(2), env, stdout, stderr });
  if (commandLine.kind === 'exit') return commandLine.code;
  const { config, unknownVariables } = commandLine;
  const logger = createLogger({ name: 'controller', level: config.log.level });
  for (const name of unknownVariables)
    logger.warn({ variable: name }, 'an environment variable names no setting; it is ignored');

  let controller;
  try {
    controller = await startController({
      config,
      clock: systemClock,
      logger,
      random: Math.random,
      version: VERSION,
      isBusy: createIsBusy(),
      fetch: createProxiedFetch(proxySettingsOf(env)),
    });
  } catch (error) {
    process.stderr.write(`controller: ${startFailure(error, config)}\n`);
    return 1;
  }
  logger.info(
    {
      event: 'listening',
      http: `${hasTls(config, 'http') ? 'https' : 'http'}://${config.http.host}:${controller.httpPort}`,
      grpc: `${config.grpc.host}:${controller.grpcPort}`,
      dataDir: config.data_dir,
      version: VERSION,
    },
    'the controller listens',
  );
  const signal = await new Promise<string>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  logger.info({ event: 'stopping', signal }, 'the controller stops');
  // A second signal ends it at once.
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => process.exit(1));
  await controller.stop();
  logger.info({ event: 'stopped' }, 'the controller has stopped');
  return 0;
}

/** One line that names what is in the way and what to do. */
function startFailure(error: unknown, config: { http: { port: number }; data_dir: string }): string {
  if (error instanceof MigError) return error.message;
  const message = errorMessage(error);
  const { code, port } = error as NodeJS.ErrnoException & { readonly port?: number };
  if (code === 'EADDRINUSE' && port !== undefined) {
    const which = port === config.http.port ? '--http-port' : '--grpc-port';
    return `port ${port} is taken by another program: stop that one, or choose another with ${which}`;
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR' || code === 'EEXIST') {
    return `the data directory ${config.data_dir} cannot be used (${message}): give this user the right to write there, or choose another with --data-dir`;
  }
  if (code === 'ENOSPC')
    return `the disk of the data directory ${config.data_dir} is full: make room, or choose another with --data-dir`;
  return `could not start: ${message}`;
}

setUpV8();
process.exitCode = await main();
// Nothing is left to do; a library's idle socket must not hold the process.
process.exit();
