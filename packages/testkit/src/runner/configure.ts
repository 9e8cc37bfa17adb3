/** `config.sh` and `config.sh remove` (actions/runner src/Runner.Listener/Configuration/ConfigurationManager.cs). */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import type { Registration, RegistrationRequest } from '../github/runner-protocol.js';
import type { CommandLine } from './command-line.js';
import { EXIT } from './exit-codes.js';
import { ARCHITECTURE, OS_NAME, RUNNER_VERSION, USER_AGENT } from './identity.js';
import type { RunnerFiles } from './runner-files.js';
import { createServiceClient, type ServiceReply } from './service-client.js';
import type { Switches } from './switches.js';
import type { Terminal } from './terminal.js';

export interface ConfigureDeps {
  readonly root: string;
  readonly commandLine: CommandLine;
  readonly files: RunnerFiles;
  readonly terminal: Terminal;
  readonly switches: Switches;
  readonly env: NodeJS.ProcessEnv;
}

/** Registers the runner and writes its files. Resolves to the exit code. */
export async function configure(deps: ConfigureDeps): Promise<number> {
  const { commandLine, files, terminal } = deps;
  if (deps.switches.takeConfigFailure()) return refuse(terminal, 'Injected by the stand-in: config-fails');
  if (files.isConfigured()) {
    return refuse(
      terminal,
      "Cannot configure the runner because it is already configured. To reconfigure the runner, run 'config.cmd remove' or './config.sh remove' first.",
    );
  }
  const url = commandLine.value('url') ?? '';
  const token = commandLine.value('token') ?? '';
  for (const [name, value] of Object.entries({ url, token })) {
    if (value === '')
      return refuse(
        terminal,
        `Invalid configuration provided for ${name}. Terminating unattended configuration.`,
      );
  }
  const labels = (commandLine.value('labels') ?? '').split(',').map((label) => label.trim());
  const noDefaultLabels = commandLine.flag('no-default-labels');
  if (noDefaultLabels && labels.every((label) => label === '')) {
    return refuse(terminal, "Argument '--no-default-labels' needs '--labels' to be set as well.");
  }

  const client = createServiceClient(url, USER_AGENT);
  const wanted: RegistrationRequest = {
    url,
    name: commandLine.value('name') ?? hostname(),
    labels: labels.filter((label) => label !== ''),
    no_default_labels: noDefaultLabels,
    runner_group: commandLine.value('runnergroup') ?? '',
    ephemeral: commandLine.flag('ephemeral'),
    replace: commandLine.flag('replace'),
    os: OS_NAME,
    arch: ARCHITECTURE,
    version: RUNNER_VERSION,
  };
  terminal.line('\n# Authentication\n');
  const reply = await client.send({
    method: 'POST',
    path: 'registrations',
    authorization: `RemoteAuth ${token}`,
    body: wanted,
  });
  if (reply.kind !== 'answer' || reply.status !== 200) {
    return refuse(terminal, describeFailure(reply, 'POST', client.address('registrations'), wanted.name));
  }
  const registration = reply.body as Registration;
  terminal.line('\n√ Connected to GitHub\n\n# Runner Registration\n');
  terminal.success('Runner successfully added');

  const workFolder = commandLine.value('work') ?? '_work';
  mkdirSync(path.resolve(deps.root, workFolder), { recursive: true });
  writeFileSync(path.join(deps.root, '.path'), `${deps.env['PATH'] ?? ''}\n`);
  writeIfMissing(
    path.join(deps.root, '.env'),
    `LANG=${deps.env['LANG'] ?? 'C.UTF-8'}
`,
  );
  files.save(
    {
      agentId: registration.agent_id,
      agentName: registration.agent_name,
      poolId: registration.pool_id,
      poolName: registration.pool_name,
      serverUrl: registration.server_url,
      gitHubUrl: url,
      workFolder,
      ephemeral: wanted.ephemeral,
      disableUpdate: commandLine.flag('disableupdate'),
    },
    registration.credential,
  );
  terminal.line('\n# Runner settings\n');
  terminal.success('Settings Saved.\n');
  return EXIT.success;
}

/** Takes the runner's registration back and deletes its files; with `--local`, the files only. */
export async function unconfigure(deps: Omit<ConfigureDeps, 'switches' | 'env' | 'root'>): Promise<number> {
  const { commandLine, files, terminal } = deps;
  terminal.line('\n# Runner removal\n');
  if (files.isConfigured() && !commandLine.flag('local')) {
    const { settings } = files.load();
    if (settings.gitHubUrl === '')
      return refuse(terminal, 'A runner with a JIT configuration is removed by GitHub: use DELETE'); // actions/runner #2920
    const client = createServiceClient(settings.serverUrl, USER_AGENT);
    const where = `registrations/${settings.agentId}`;
    const authorization = `RemoteAuth ${commandLine.value('token') ?? ''}`;
    const reply = await client.send({ method: 'DELETE', path: where, authorization });
    if (reply.kind !== 'answer' || reply.status !== 200) {
      return refuse(terminal, describeFailure(reply, 'DELETE', client.address(where), settings.agentName));
    }
    terminal.success('Runner removed successfully');
  }
  for (const name of files.remove()) terminal.success(`Removed ${name}`);
  return EXIT.success;
}

/** What env.sh does: an `.env` that somebody put there stays. */
function writeIfMissing(file: string, content: string): void {
  if (!existsSync(file)) writeFileSync(file, content);
}

function refuse(terminal: Terminal, message: string): number {
  terminal.error(message);
  return EXIT.terminated;
}

/** In the words of the real runner, which names statuses as .NET does. */
function describeFailure(reply: ServiceReply, method: string, address: string, name: string): string {
  if (reply.kind !== 'answer') {
    return reply.kind === 'unreachable' ? reply.reason : 'The operation was canceled.';
  }
  if (reply.status === 409) return `A runner exists with the same name ${name}.`;
  const message = (reply.body as { message?: string } | undefined)?.message ?? '';
  if (reply.status === 404) {
    return [
      `Http response code: NotFound from '${method} ${address}' (Request Id: ${reply.requestId})`,
      JSON.stringify(reply.body),
      'Response status code does not indicate success: 404 (Not Found).',
    ].join('\n');
  }
  return message === '' ? `Response status code does not indicate success: ${reply.status}.` : message;
}
