import type { Runner, RunnerGroup } from './runner-registry.js';

/**
 * The configuration that `Runner.Listener run --jitconfig` takes: base64 of JSON that maps the names of the runner's
 * files to their base64 content (actions/runner src/Runner.Listener/Runner.cs).
 *
 * The server spells the settings in its own way: capital initials, every value a string, no `GitHubUrl`.
 */
export function toEncodedJitConfig(
  runner: Runner,
  options: { group: RunnerGroup; serverUrl: string; workFolder: string },
): string {
  const settings = {
    AgentId: String(runner.id),
    AgentName: runner.name,
    DisableUpdate: 'False',
    Ephemeral: 'True',
    PoolId: String(options.group.id),
    PoolName: options.group.name,
    ServerUrl: options.serverUrl,
    WorkFolder: options.workFolder,
  };
  const credentials = {
    scheme: 'OAuth',
    data: { clientId: `stand-in-${runner.id}`, authorizationUrl: options.serverUrl },
  };
  const key = { standInCredential: runner.credential };
  return base64({
    '.runner': base64(settings),
    '.credentials': base64(credentials),
    '.credentials_rsaparams': base64(key),
  });
}

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value), 'utf8').toString('base64');
