/** The runner of a real VM: its folder, its user, its environment, its processes, and how it comes to be there. */
import path from 'node:path';
import { fromPromise } from 'xstate';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { createRunnerActor } from '../actors/runner.actor.js';
import type { MigletConfig } from '../config.js';
import { createLinkAgent } from '../controller-link/link-tls.js';
import type { EventJournal } from '../journal/journal.js';
import type { MigletHost } from '../miglet.js';
import { configureRunner } from '../runner/configure.js';
import type { EmitEvent } from '../runner/diag/diag-events.js';
import { createDiagTail } from '../runner/diag/diag-tail.js';
import { createKnownSecrets } from '../runner/diag/known-secrets.js';
import { runnerEnvironment } from '../runner/environment.js';
import { overriddenByDotEnv, unusableHooks, writeHooks } from '../runner/hooks.js';
import { createInstaller, type RunnerInstaller } from '../runner/install/install-runner.js';
import { createPendingUpdate } from '../runner/pending-update.js';
import { runnerDirectory } from '../runner/runner-directory.js';
import { canMakeCgroup, removeEmptyCgroups } from '../runner/tree/cgroup.js';
import { resolveRunAs } from '../runner/user.js';
import { prepareWorkFolder } from '../runner/work-folder.js';
import { thisPlatform } from './platform.js';

export interface HostRunnerDeps {
  readonly config: MigletConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stateDirectory: string;
  readonly events: EventJournal;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type HostRunner = Required<
  Pick<MigletHost, 'runner' | 'configureRunner' | 'readDiag' | 'activity' | 'tellTo'>
> & {
  /** `runner.dir`, absolute. */
  readonly directory: string;
};

/**
 * @throws RunnerUserError if `runner.user` cannot be had
 * @throws the file system's error if the hooks cannot be written
 */
export function createHostRunner(deps: HostRunnerDeps): HostRunner {
  const { config, env, stateDirectory, events, clock, logger } = deps;
  const settings = config.runner;
  const directory = runnerDirectory(path.resolve(settings.dir));
  const runAs = resolveRunAs({
    user: settings.user,
    allowRoot: settings.allow_root,
    uid: process.getuid?.(),
    searchPath: env['PATH'] ?? '',
  });
  const hooks = writeHooks({ stateDirectory, runAs, configured: settings.env });
  const environment = runnerEnvironment({
    inherited: env,
    user: runAs.env,
    configured: settings.env,
    hooks: hooks.env,
    allowRoot: settings.allow_root,
  });
  const overridden = overriddenByDotEnv(directory.path, Object.keys(environment));
  if (overridden.length > 0)
    logger.warn({ names: overridden }, "the runner's own file .env takes the place of what the MIGlet sets");
  removeEmptyCgroups();
  if (process.platform === 'linux' && !canMakeCgroup())
    logger.warn(
      { event: 'no_control_group' },
      "no control group can be made for the runner: what may be left running after a job is a process that cleared its environment, left its parents within a second, and works outside of the runner's folder; run the MIGlet as root, or with Delegate=yes in its unit of systemd (cgroup v2)",
    );
  for (const hook of unusableHooks(settings.env, runAs))
    logger.warn(
      { event: 'hook_unusable', ...hook },
      `${hook.key} ${hook.path} ${hook.reason}: jobs will fail`,
    );
  const pendingUpdate = createPendingUpdate({
    directory: directory.path,
    stateDirectory,
    timeoutMs: settings.update_timeout,
    clock,
    logger,
  });
  // Those of a runner that an earlier process of the MIGlet left.
  const secrets = createKnownSecrets(directory.path);
  const diag = createDiagTail({
    directory: directory.path,
    maxBytes: settings.diag_bytes,
    secrets: secrets.all,
  });
  let emit: EmitEvent = () => undefined;
  const installer: RunnerInstaller | undefined = settings.install
    ? createInstaller(
        {
          directory: directory.path,
          release: {
            endpoint: config.controller.endpoint,
            agent: createLinkAgent(config.controller),
            version: settings.version,
            downloadUrl: settings.download_url,
            sha256: settings.sha256,
            platform: thisPlatform(),
          },
          download: { env: environment },
          owner: runAs.user,
          timeoutMs: settings.install_timeout,
        },
        {
          clock,
          logger,
          onInstalled: ({ version, bytes, durationMs }) =>
            emit('runner_installed', { version, bytes: String(bytes), duration_ms: String(durationMs) }),
        },
      )
    : undefined;

  return {
    directory: directory.path,
    runner: createRunnerActor({
      listener: {
        directory,
        env: environment,
        runAs,
        stateDirectory,
        hintsFile: hooks.hintsFile,
        clock,
        logger,
        acknowledgeTimeoutMs: settings.acknowledge_timeout,
        workerTimeoutMs: settings.worker_timeout,
        isJournaled: () => events.waitingCount === 0,
        isTold: (type, key, value) =>
          [...events.pending()].some((event) => event.type === type && event.data[key] === value),
      },
      clock,
      logger,
      pendingUpdate,
      startTimeoutMs: settings.start_timeout,
      forgetInstalled: () => installer?.forgetInstalled() !== undefined,
    }),
    configureRunner: fromPromise(async ({ input, signal }) => {
      secrets.remember(input.registration);
      if (runAs.refused === undefined) prepareWorkFolder(directory.path, settings.work_folder, runAs.user);
      const outcome = await configureRunner(
        input.registration,
        {
          directory,
          env: environment,
          ephemeral: settings.ephemeral,
          disableUpdate: settings.disable_update,
          workFolder: settings.work_folder,
          runAs,
          updateEnded: pendingUpdate.wait,
          timeoutMs: settings.configure_timeout,
          ...(installer === undefined ? {} : { install: installer.install }),
        },
        signal,
      );
      // What config.sh left there: the runner may delete it before its log is read.
      secrets.look();
      return outcome;
    }),
    readDiag: diag.read,
    activity: () => installer?.progress() ?? '',
    tellTo(given) {
      emit = given;
    },
  };
}
