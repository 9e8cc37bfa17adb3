/** Schema `runner-application`. */
export interface RunnerDownload {
  readonly os: string;
  readonly architecture: string;
  readonly download_url: string;
  readonly filename: string;
  readonly sha256_checksum?: string;
}

/** What GitHub offers, by its shape. Nothing is behind these addresses: a test that downloads gives its own. */
export const EXAMPLE_DOWNLOADS: readonly RunnerDownload[] = (
  [
    ['linux', 'x64', 'tar.gz'],
    ['linux', 'arm64', 'tar.gz'],
    ['osx', 'arm64', 'tar.gz'],
    ['win', 'x64', 'zip'],
  ] as const
).map(([os, architecture, extension]) => {
  const filename = `actions-runner-${os}-${architecture}-2.336.0.${extension}`;
  return {
    os,
    architecture,
    download_url: `https://runner-downloads.invalid/v2.336.0/${filename}`,
    filename,
    sha256_checksum: '0'.repeat(64),
  };
});
