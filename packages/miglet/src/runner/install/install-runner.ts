/**
 * Installs the GitHub runner on a VM whose `runner.dir` has none: finds out which, downloads it, checks it, unpacks it beside, and
 * moves it into place. A runner that is there is used as it is.
 *
 * Nothing half-made is ever in `runner.dir`, whenever the MIGlet is killed, and nothing is left beside it (installation.ts).
 */
import { execFile } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lchownSync,
  readdirSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { errorMessage } from '@mig/common/errors';
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import { isSystemError } from '../../host/system-error.js';
import { download, withoutQuery, type DownloadOptions } from './download.js';
import {
  openWorkplace,
  readInstallNote,
  removeInstalled,
  removeInterrupted,
  type Workplace,
} from './installation.js';
import { findRelease, type ReleaseOptions, type RunnerRelease } from './runner-release.js';
import { unpack } from './unpack.js';

export interface InstalledRunner {
  readonly version: string;
  readonly bytes: number;
  readonly durationMs: number;
}

export interface RunnerInstaller {
  /**
   * One at a time: asked while one goes on, it waits for that one's end.
   * @returns undefined for a runner that is there by then, also for one that is not whole and not ours: it is left alone
   */
  install(signal: AbortSignal): Promise<Outcome<InstalledRunner | undefined>>;
  /** What goes on, for a person: `installs runner 2.336.0 (43 %)`; empty if nothing does. */
  progress(): string;
  /**
   * Removes the runner if we installed it, so that the next registration installs one anew; its version is not installed again by
   * this process. @returns the version, or undefined if the runner is not ours, and stays
   */
  forgetInstalled(): string | undefined;
}

export interface InstallerOptions {
  /** `runner.dir`. */
  readonly directory: string;
  readonly release: ReleaseOptions;
  readonly download: Omit<DownloadOptions, 'onProgress'>;
  /** Whom its files are given to; default: they stay the MIGlet's. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** An installation is given up after this. */
  readonly timeoutMs: number;
}

export interface InstallerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onInstalled: (installed: InstalledRunner) => void;
}

/** The log says at most so often how far it is. */
const PROGRESS_MS = 5_000;
/** Archive and runner together, in 2026. */
const NEEDED_BYTES = 1024 * 2 ** 20;
const WRONG_CHECKSUMS = 2;

/** Removes what an installation left that was killed. */
export function createInstaller(
  options: InstallerOptions,
  { clock, logger, onInstalled }: InstallerDeps,
): RunnerInstaller {
  const { directory } = options;
  const refusedVersions = new Set<string>();
  let last: Promise<unknown> = Promise.resolve();
  let progress = '';
  let wrongChecksums = 0;

  async function install(signal: AbortSignal): Promise<Outcome<InstalledRunner>> {
    const startedMs = clock.monotonicMs();
    const found = await findRelease(options.release, signal);
    if (found.kind !== 'ok') return found;
    const release = found.value;
    if (refusedVersions.has(release.version)) {
      return fatal(
        `GitHub takes runner ${release.version} no longer, and no newer one is to be had: set runner.version and runner.sha256, or put a newer runner into the image`,
      );
    }
    const opened = openWorkplace(directory);
    if (opened.kind !== 'ok') return opened;
    const workplace = opened.value;
    try {
      const made = await make(release, workplace, signal);
      if (made.kind !== 'ok') return made;
      const durationMs = Math.round(clock.monotonicMs() - startedMs);
      return ok({ version: release.version, bytes: made.value, durationMs });
    } finally {
      workplace.close();
    }
  }

  /** @returns the length of the archive */
  async function make(
    release: RunnerRelease,
    workplace: Workplace,
    signal: AbortSignal,
  ): Promise<Outcome<number>> {
    const { version, url, sha256 } = release;
    warnOfSpace(workplace.unpacked);
    logger.info({ event: 'installing', version, url: withoutQuery(url) }, `installs runner ${version}`);
    const onProgress = createProgress(version);
    const came = await download(
      { url, sha256, file: workplace.archive },
      { ...options.download, onProgress },
      signal,
    );
    if (came.kind === 'mismatch') {
      wrongChecksums += 1;
      // A proxy or a mirror may have sent half of it, or a page of its own, once.
      return wrongChecksums < WRONG_CHECKSUMS
        ? retryable(came.reason)
        : fatal(`${came.reason} (${wrongChecksums} times): set runner.sha256, or runner.download_url`);
    }
    if (came.kind !== 'ok') return came;
    wrongChecksums = 0;
    progress = `unpacks runner ${version}`;
    const unpacked = await unpack(workplace.archive, workplace.unpacked, signal);
    if (unpacked.kind !== 'ok') return unpacked;
    rmSync(workplace.archive);
    const missing = missingIn(workplace.unpacked);
    if (missing !== undefined)
      return fatal(
        `${withoutQuery(url)} is no runner: it has no ${missing} that can be run; set runner.download_url`,
      );
    if (options.owner !== undefined) giveTo(workplace.unpacked, options.owner);
    await flushToDisk(workplace.unpacked);
    const moved = workplace.moveIntoPlace({ version, url: withoutQuery(url), sha256 });
    return moved.kind === 'ok' ? ok(came.value.bytes) : moved;
  }

  function createProgress(version: string): (received: number, total: number | undefined) => void {
    let loggedMs = clock.monotonicMs();
    return (received, total) => {
      const percent = total === undefined || total === 0 ? undefined : Math.floor((100 * received) / total);
      const part = percent === undefined ? `${Math.round(received / 2 ** 20)} MiB` : `${percent} %`;
      progress = `installs runner ${version} (${part})`;
      const nowMs = clock.monotonicMs();
      if (nowMs - loggedMs < PROGRESS_MS) return;
      loggedMs = nowMs;
      logger.info({ event: 'installing', version, bytes: received, percent }, progress);
    };
  }

  /** It is not refused for that: a file system may compress, or the runner have become smaller. */
  function warnOfSpace(place: string): void {
    const { bavail, bsize } = statfsSync(place);
    if (bavail * bsize < NEEDED_BYTES)
      logger.warn({ directory, freeBytes: bavail * bsize }, 'there is little space for the runner');
  }

  removeInterrupted(directory);
  return {
    install(signal) {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(options.timeoutMs)]);
      const next = last.then(async (): Promise<Outcome<InstalledRunner | undefined>> => {
        if (missingIn(directory) === undefined || isForeign(directory)) return ok(undefined);
        // Given up before its turn came.
        if (bounded.aborted) return retryable('the installation was given up');
        try {
          const outcome = await install(bounded);
          if (outcome.kind === 'ok') {
            logger.info(
              { event: 'installed', ...outcome.value },
              `runner ${outcome.value.version} is installed`,
            );
            onInstalled(outcome.value);
          } else
            logger.warn({ event: 'install_failed', reason: outcome.reason }, 'the runner was not installed');
          return outcome;
        } catch (error) {
          if (!isSystemError(error)) throw error;
          return retryable(`the runner could not be installed into ${directory} (${errorMessage(error)})`);
        } finally {
          progress = '';
        }
      });
      last = next.catch(() => undefined);
      return next;
    },
    progress: () => progress,
    forgetInstalled() {
      const version = readInstallNote(directory)?.version;
      if (version === undefined || !removeInstalled(directory)) return undefined;
      refusedVersions.add(version);
      return version;
    },
  };
}

/** A runner that somebody else put there, whatever else it lacks: whoever needs that says what it is. */
const isForeign = (directory: string): boolean =>
  existsSync(path.join(directory, 'bin', 'Runner.Listener')) && readInstallNote(directory) === undefined;

/** What `runner-directory.ts` asks for, too; undefined if nothing is missing. */
function missingIn(directory: string): string | undefined {
  return ['config.sh', 'bin/Runner.Listener'].find((name) => {
    try {
      accessSync(path.join(directory, name), constants.X_OK);
      return false;
    } catch {
      return true;
    }
  });
}

/** Nobody but us can be in there yet: no link of theirs leads this astray, and links themselves are not followed. */
function giveTo(directory: string, { uid, gid }: { uid: number; gid: number }): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }))
    lchownSync(path.join(entry.parentPath, entry.name), uid, gid);
  lchownSync(directory, uid, gid);
  chmodSync(directory, 0o755);
}

/** A power cut after the move must not leave a runner of empty files. Best effort: coreutils may be without it. */
async function flushToDisk(directory: string): Promise<void> {
  await promisify(execFile)('sync', ['-f', directory], { timeout: 60_000 }).catch(() => undefined);
}
