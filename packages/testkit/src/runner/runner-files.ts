/** The files of a configured runner (actions/runner src/Runner.Common/ConfigurationStore.cs). */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const SETTINGS = '.runner';
const CREDENTIALS = '.credentials';
const KEY = '.credentials_rsaparams';

export interface RunnerSettings {
  readonly agentId: number;
  readonly agentName: string;
  readonly poolId: number;
  readonly poolName: string;
  readonly serverUrl: string;
  /** Empty for a runner with a JIT configuration. */
  readonly gitHubUrl: string;
  readonly workFolder: string;
  readonly ephemeral: boolean;
  readonly disableUpdate: boolean;
}

export interface RunnerFiles {
  isConfigured(): boolean;
  save(settings: RunnerSettings, credential: string): void;
  /** Writes the files of a JIT configuration. Throws if it is none. */
  saveJit(encoded: string): void;
  /** Throws if the runner is not configured. */
  load(): { readonly settings: RunnerSettings; readonly credential: string };
  /** The names of the files that were there and are gone now, in the order in which the real runner says so. */
  remove(): string[];
}

export function createRunnerFiles(root: string): RunnerFiles {
  const file = (name: string) => path.join(root, name);
  const readJson = (name: string) => JSON.parse(readFileSync(file(name), 'utf8')) as Record<string, unknown>;
  const write = (name: string, content: string | Buffer) =>
    writeFileSync(file(name), content, { mode: 0o600 });

  return {
    isConfigured: () => existsSync(file(SETTINGS)) && existsSync(file(CREDENTIALS)),
    save(settings, credential) {
      const data = { clientId: `stand-in-${settings.agentId}`, authorizationUrl: settings.serverUrl };
      write(KEY, JSON.stringify({ standInCredential: credential }));
      write(CREDENTIALS, JSON.stringify({ scheme: 'OAuth', data }, null, 2));
      write(SETTINGS, JSON.stringify(settings, null, 2));
    },
    saveJit(encoded) {
      const files = parseJson(Buffer.from(encoded, 'base64').toString('utf8'));
      for (const [name, content] of Object.entries(files)) {
        if (typeof content !== 'string' || path.basename(name) !== name) {
          throw new Error(
            `The JIT configuration has a file ${JSON.stringify(name)} that is not valid: get a new one`,
          );
        }
        write(name, Buffer.from(content, 'base64'));
      }
    },
    load() {
      return {
        settings: toSettings(readJson(SETTINGS)),
        credential: String(readJson(KEY)['standInCredential']),
      };
    },
    remove() {
      const removed = [CREDENTIALS, SETTINGS].filter((name) => existsSync(file(name)));
      for (const name of [CREDENTIALS, KEY, SETTINGS]) rmSync(file(name), { force: true });
      return removed;
    },
  };
}

function parseJson(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new Error('The JIT configuration is not base64 of JSON: get a new one from generate-jitconfig');
  }
}

/** config.sh writes small initials and plain values, the server capital ones and strings; both are read. */
function toSettings(json: Record<string, unknown>): RunnerSettings {
  const get = (name: string) =>
    Object.entries(json).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  const text = (name: string) => {
    const value = get(name);
    return typeof value === 'string' || typeof value === 'boolean' ? String(value) : '';
  };
  const truth = (name: string) => text(name).toLowerCase() === 'true';
  return {
    agentId: Number(get('agentId')),
    agentName: text('agentName'),
    poolId: Number(get('poolId')),
    poolName: text('poolName'),
    serverUrl: text('serverUrl'),
    gitHubUrl: text('gitHubUrl'),
    workFolder: text('workFolder') || '_work',
    ephemeral: truth('ephemeral'),
    disableUpdate: truth('disableUpdate'),
  };
}
