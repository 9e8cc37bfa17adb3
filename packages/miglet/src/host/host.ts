/** The VM as it is: files, processes and readings of the machine that the MIGlet runs on. */
import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock, type Clock } from '@mig/common/clock';
import { lockDirectory, type DirectoryLockOptions } from '@mig/common/directory-lock';
import type { Logger } from '@mig/common/logger';
import type { MigletConfig } from '../config.js';
import { startJobs } from '../jobs/jobs.js';
import { createCommandJournal } from '../journal/command-journal.js';
import { createEventJournal } from '../journal/event-journal.js';
import { openLogFile } from '../journal/log-file.js';
import type { MigletHost } from '../miglet.js';
import { startTasks } from '../tasks/tasks.js';
import { openBootFile, readKernelBootId } from './boot-file.js';
import { createHostRunner } from './create-runner.js';
import { eventFile, openEarlierBoots } from './earlier-boots.js';
import { createHealthSampler } from './health.js';
import { createJoinProof } from './join-proof.js';
import { powerOff } from './power.js';
import { openSessionFile } from './session-file.js';

/** The host of a real VM, whose state folder is its own until it is released. */
export interface RealHost extends MigletHost {
  /** The last call: another MIGlet may use the state folder now. */
  release(): void;
}

export interface HostDeps {
  readonly config: MigletConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/**
 * @throws DirectoryInUseError if another MIGlet that lives uses the state folder; one that was killed does not
 * @throws RunnerUserError if `runner.user` cannot be had
 * @throws the file system's error if the state folder cannot be used
 */
export function createHost({ config, env, logger, clock = systemClock }: HostDeps): RealHost {
  const stateDirectory = path.resolve(config.state_dir);
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  const release = lockDirectory(stateDirectory, LOCK);
  try {
    return openHost({ config, env, logger, clock }, stateDirectory, release);
  } catch (error) {
    release();
    throw error;
  }
}

function openHost(
  { config, env, logger, clock }: Required<HostDeps>,
  stateDirectory: string,
  release: () => void,
): RealHost {
  const boot = openBootFile(stateDirectory, readKernelBootId());
  const eventLog = openLogFile<unknown>(path.join(stateDirectory, eventFile(boot.boot.bootId)));
  const commandLog = openLogFile<unknown>(path.join(stateDirectory, 'commands.jsonl'));
  const events = createEventJournal(eventLog.log, eventLog.entries, {
    maxEvents: config.journal.max_events,
    maxBytes: config.journal.max_bytes,
    maxAgeMs: config.journal.max_age,
    uptimeMs,
  });
  const { directory, ...runner } = createHostRunner({ config, env, stateDirectory, events, clock, logger });
  return {
    boot,
    earlierBoots: openEarlierBoots(stateDirectory, boot.boot.bootId, logger),
    events,
    commands: createCommandJournal(commandLog.log, commandLog.entries, uptimeMs),
    uptimeMs,
    joinProof: createJoinProof(config.controller.join),
    session: openSessionFile(stateDirectory, boot.boot.bootId),
    ...runner,
    sampleHealth: createHealthSampler(directory),
    powerOff,
    startTasks: config.tasks.enabled ? (context) => startTasks({ ...context, config, env }) : undefined,
    startJobs: config.jobs.enabled ? (context) => startJobs({ ...context, config, env }) : undefined,
    release,
  };
}

const uptimeMs = (): number => os.uptime() * 1_000;

const LOCK: DirectoryLockOptions = {
  file: '.miglet.lock',
  what: 'state folder',
  program: 'MIGlet',
  remedy: 'stop that one, or give this one another folder with state_dir',
  // A VM may come back under another name.
  host: 'this VM',
};
