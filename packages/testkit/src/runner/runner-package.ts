/** The stand-in runner as GitHub offers the real one: `actions-runner-linux-x64-2.336.0.tar.gz`, and its SHA-256. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RunnerDownload } from '../github/resources/runner-downloads.js';
import { RUNNER_VERSION } from './identity.js';
import { installStandInRunner, type InstallOptions } from './install.js';
import { toTarGz, type TarEntry } from './tar.js';

export interface RunnerPackageOptions extends InstallOptions {
  /** Default that of the real runner which the stand-in was made after. The program inside says that one in any case. */
  readonly version?: string;
  /** As GitHub says it: `linux`, `osx`. Default that of this machine. */
  readonly os?: string;
  /** `x64`, `arm64`. Default that of this machine. */
  readonly architecture?: string;
  /** Entries beside the runner's own, behind them. Default none. */
  readonly extraEntries?: readonly TarEntry[];
}

export interface RunnerPackage {
  readonly file: string;
  readonly filename: string;
  readonly sha256: string;
  readonly version: string;
  /** An item of `runners/downloads`, for the stand-in's option `runnerDownloads`. */
  toDownload(url: string): RunnerDownload;
}

/** Writes the archive into the folder, which is there. Its programs start the code of this package: it is for this machine. */
export function packStandInRunner(folder: string, options: RunnerPackageOptions = {}): RunnerPackage {
  const version = options.version ?? RUNNER_VERSION;
  const os = options.os ?? (process.platform === 'darwin' ? 'osx' : 'linux');
  const architecture = options.architecture ?? process.arch;
  const filename = `actions-runner-${os}-${architecture}-${version}.tar.gz`;
  const unpacked = mkdtempSync(path.join(tmpdir(), 'stand-in-runner-package-'));
  installStandInRunner(unpacked, options);
  const archive = toTarGz([...toEntries(unpacked, './'), ...(options.extraEntries ?? [])]);
  rmSync(unpacked, { recursive: true });
  const file = path.join(folder, filename);
  writeFileSync(file, archive);
  const sha256 = createHash('sha256').update(archive).digest('hex');
  return {
    file,
    filename,
    sha256,
    version,
    toDownload: (url) => ({ os, architecture, download_url: url, filename, sha256_checksum: sha256 }),
  };
}

/** @param name of the folder in the archive; GitHub's begins with `./` */
function toEntries(folder: string, name: string): TarEntry[] {
  const below = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    { name, mode: 0o755 },
    ...below.flatMap((entry): TarEntry[] => {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) return toEntries(file, `${name}${entry.name}/`);
      return [
        { name: `${name}${entry.name}`, mode: statSync(file).mode & 0o777, content: readFileSync(file) },
      ];
    }),
  ];
}
