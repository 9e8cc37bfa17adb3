/** What the stand-in runner says that it is. */

/** The version of the real runner that it was made after. */
export const RUNNER_VERSION = '2.336.0';
export const USER_AGENT = `GitHubActionsRunner-stand-in/${RUNNER_VERSION}`;

/** As the real runner's labels are spelled (actions/runner src/Runner.Common/Constants.cs). */
export const OS_NAME = { darwin: 'macOS', win32: 'Windows' }[process.platform as string] ?? 'Linux';
export const ARCHITECTURE = { arm64: 'ARM64', arm: 'ARM', ia32: 'X86' }[process.arch as string] ?? 'X64';
