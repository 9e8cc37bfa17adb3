/** The VM as it is: files, processes and readings of the machine that the MIGlet runs on. */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fromPromise } from 'xstate';
import type { Logger } from '@mig/common/logger';
import { createRunnerActor } from '../actors/runner.actor.js';
import type { MigletConfig } from '../config.js';
import { createCommandJournal } from '../journal/command-journal.js';
import { createEventJournal } from '../journal/event-journal.js';
import { openLogFile } from '../journal/log-file.js';
import type { MigletHost } from '../miglet.js';
import { configureRunner } from '../runner/configure.js';
import { runnerEnvironment } from '../runner/environment.js';
import { runnerDirectory } from '../runner/runner-directory.js';
import { openBootFile, readKernelBootId } from './boot-file.js';
import { sampleHealth } from './health.js';
import { powerOff } from './power.js';

export interface HostDeps {
  readonly config: MigletConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
}

/** @throws the file system's error if the state folder cannot be used */
export function createHost({ config, env, logger }: HostDeps): MigletHost {
  const stateDirectory = path.resolve(config.state_dir);
  const boot = openBootFile(stateDirectory, readKernelBootId());
  forgetOtherBoots(stateDirectory, boot.boot.bootId, logger);
  const eventLog = openLogFile<unknown>(path.join(stateDirectory, eventFile(boot.boot.bootId)));
  const commandLog = openLogFile<unknown>(path.join(stateDirectory, 'commands.jsonl'));
  const directory = runnerDirectory(path.resolve(config.runner.dir));
  const environment = runnerEnvironment({
    inherited: env,
    configured: config.runner.env,
    allowRoot: config.runner.allow_root,
  });
  return {
    boot,
    events: createEventJournal(eventLog.log, eventLog.entries),
    commands: createCommandJournal(commandLog.log, commandLog.entries),
    runner: createRunnerActor({ listener: { directory, env: environment, stateDirectory }, logger }),
    configureRunner: fromPromise(({ input, signal }) =>
      configureRunner(
        input.registration,
        {
          directory,
          env: environment,
          ephemeral: config.runner.ephemeral,
          disableUpdate: config.runner.disable_update,
          workFolder: config.runner.work_folder,
        },
        signal,
      ),
    ),
    sampleHealth: () => sampleHealth(directory.path),
    powerOff,
  };
}

const eventFile = (bootId: string): string => `events-${bootId}.jsonl`;

/** Events are counted per boot; what an ended boot could not hand over any more is given up. */
function forgetOtherBoots(stateDirectory: string, bootId: string, logger: Logger): void {
  for (const name of readdirSync(stateDirectory)) {
    if (!/^events-.+\.jsonl$/.test(name) || name === eventFile(bootId)) continue;
    const file = path.join(stateDirectory, name);
    const { log, entries } = openLogFile<unknown>(file);
    log.close();
    const lost = createEventJournal(undefined, entries).pending().length;
    if (lost > 0)
      logger.warn({ file, lost }, 'events of an earlier boot were never acknowledged; they are given up');
    rmSync(file);
  }
}
