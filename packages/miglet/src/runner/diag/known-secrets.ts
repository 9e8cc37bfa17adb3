import type { Registration } from '../../machine/types.js';

/** What this process was given to register runners with, so that it can be taken out of what it tells (I8). Memory only. */
export interface KnownSecrets {
  remember(registration: Registration): void;
  all(): readonly string[];
}

/** A secret of an earlier registration is good for nothing soon after; its runner's log may still hold it. */
const MAX_REGISTRATIONS = 8;
/** A JIT config holds its files as base64 in JSON in base64 (actions/runner, Runner.cs:234-270). */
const MAX_FILES = 10;

export function createKnownSecrets(): KnownSecrets {
  let registrations: readonly (readonly string[])[] = [];
  return {
    remember({ token, jitConfig }) {
      const secrets = [token, jitConfig, ...filesOf(jitConfig)].filter((secret) => secret !== '');
      registrations = [...registrations, secrets].slice(-MAX_REGISTRATIONS);
    },
    all: () => registrations.flat(),
  };
}

function filesOf(jitConfig: string): string[] {
  try {
    const files = Object.entries(JSON.parse(Buffer.from(jitConfig, 'base64').toString()) as object);
    return files
      .filter(([name]) => name.includes('credentials'))
      .slice(0, MAX_FILES)
      .flatMap(([, content]) => [String(content), Buffer.from(String(content), 'base64').toString().trim()]);
  } catch {
    return [];
  }
}
