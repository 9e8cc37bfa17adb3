/** The environment of the runner and its jobs: chosen, not inherited, so that nothing of the MIGlet leaks into a job. */

/** What a program needs of the machine, and proxies. Everything else is named in `runner.env`. */
const PASSED_ON = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
];

export interface RunnerEnvironmentOptions {
  readonly inherited: Readonly<Record<string, string | undefined>>;
  /** Of the user that it runs as, where that is not the MIGlet's; default: none. Wins over what is passed on. */
  readonly user?: Readonly<Record<string, string>>;
  /** From the configuration; wins over all but the hooks. */
  readonly configured: Readonly<Record<string, string>>;
  /** The hooks, which call those that are configured; default: none. */
  readonly hooks?: Readonly<Record<string, string>>;
  /** The runner refuses to run as root unless it is told that it may (config.sh, run-helper.sh). */
  readonly allowRoot: boolean;
}

/**
 * The runner's own file `.env` wins over all of it (actions/runner, Program.cs `LoadAndSetEnv`): it is the operator's, of the
 * image, and nothing that the MIGlet needs is in it unless somebody put it there.
 */
export function runnerEnvironment(options: RunnerEnvironmentOptions): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = options.inherited[name];
    if (value !== undefined) env[name] = value;
  }
  return {
    ...env,
    ...options.user,
    ...(options.allowRoot ? { RUNNER_ALLOW_RUNASROOT: '1' } : {}),
    // Otherwise the listener says 1 for "too old", as for everything else (Program.cs:142-170).
    ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE: '1',
    // That a job was acknowledged is in the log only; with it, a runner that hangs is seen (actions/runner #4703).
    ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT: '1',
    ...options.configured,
    ...options.hooks,
  };
}
