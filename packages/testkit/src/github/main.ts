/**
 * The stand-in GitHub as a process. One JSON line for everything that happens, beginning with
 * `{"event":"listening","url":…}`; `stand-in-github.ts` says what it is, `main-options.ts` what it takes.
 *
 * Exit codes: 0 ended by SIGTERM, SIGINT or its parent's end; 1 it cannot listen; 2 wrong command line; 3 it had a defect of
 * its own, so that whatever was tested against it proves nothing.
 */
import { errorMessage } from '@mig/common/errors';
import { readMainOptions, USAGE, type MainOptions } from './main-options.js';
import { createStandInGitHub, type StandInGitHub } from './stand-in-github.js';

/** How often it is checked whether the parent is still there. */
const PARENT_CHECK_MS = 500;

const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

const reading = readMainOptions(process.argv.slice(2), process.env);
switch (reading.kind) {
  case 'help':
    process.stdout.write(USAGE);
    break;
  case 'refused':
    process.stderr.write(`${reading.faults.join('\n')}\nSee --help.\n`);
    process.exitCode = 2;
    break;
  case 'ok':
    await run(reading.options);
    break;
}

async function run({ github, parentPid }: MainOptions): Promise<void> {
  // whoever read our lines may be gone before us
  process.stdout.on('error', () => undefined);
  const shutdown = new Promise<string>((resolve) => {
    process.on('SIGTERM', () => resolve('SIGTERM'));
    process.on('SIGINT', () => resolve('SIGINT'));
    if (parentPid !== undefined) {
      setInterval(() => {
        if (!isAlive(parentPid)) resolve(`process ${parentPid} ended`);
      }, PARENT_CHECK_MS).unref();
    }
  });
  const standIn = await start(github);
  if (standIn === undefined) return;
  print({
    event: 'listening',
    url: standIn.url,
    organization_url: standIn.organizationUrl,
    pid: process.pid,
  });
  const reason = await shutdown;
  try {
    await standIn.close();
  } catch (error) {
    process.stderr.write(`${errorMessage(error)}\n`);
    process.exitCode = 3;
  }
  print({ event: 'stopped', reason });
  // signal handlers keep nothing alive; the listening server did, and is closed
}

/** Undefined: it could not be started, and the exit code is set. */
async function start(github: MainOptions['github']): Promise<StandInGitHub | undefined> {
  try {
    return await createStandInGitHub({ ...github, onEvent: print });
  } catch (error) {
    const port = github.port ?? 0;
    process.stderr.write(`The stand-in GitHub cannot listen on port ${port}: ${errorMessage(error)}\n`);
    process.exitCode = 1;
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
