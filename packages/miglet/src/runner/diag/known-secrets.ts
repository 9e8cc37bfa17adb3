import type { Registration } from '../../machine/types.js';
import { jitConfigSecrets, registrationSecrets } from './registration-secrets.js';

/**
 * What registers runners and what a registration is worth, so that it can be taken out of what is told (I8): what this process
 * was given, and what is in the runner's folder, also from an earlier process. Memory only.
 */
export interface KnownSecrets {
  remember(registration: Registration): void;
  /** Remembers what is in the runner's folder now. */
  look(): void;
  /** Looks, too. */
  all(): readonly string[];
}

/** A secret of an earlier registration is good for nothing soon after; its runner's log may still hold it. */
const MAX_REGISTRATIONS = 8;

/** @param directory `runner.dir`; it is looked at when this is made */
export function createKnownSecrets(directory: string): KnownSecrets {
  let given: readonly (readonly string[])[] = [];
  let found: readonly (readonly string[])[] = [];

  function look(): void {
    const secrets = registrationSecrets(directory);
    const same = (other: readonly string[]): boolean => other.join('\0') === secrets.join('\0');
    if (secrets.length === 0 || found.some(same)) return;
    found = [...found, secrets].slice(-MAX_REGISTRATIONS);
  }

  look();
  return {
    remember({ token, jitConfig }) {
      const secrets = [token, jitConfig, ...jitConfigSecrets(jitConfig)].filter((secret) => secret !== '');
      given = [...given, secrets].slice(-MAX_REGISTRATIONS);
    },
    look,
    all() {
      look();
      return [...new Set([...given, ...found].flat())];
    },
  };
}
