import { parsePlatform, type VmPlatform } from '@mig/common/domain/vm';

const SYSTEMS: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  linux: 'linux',
  darwin: 'osx',
  win32: 'win',
};

/** This machine in GitHub's words; undefined if GitHub has no runner for it. */
export const thisPlatform = (): VmPlatform | undefined =>
  parsePlatform(SYSTEMS[process.platform], process.arch);
