import type { Organization, Repository } from '../directory.js';

/** Whose webhook it is, which decides of what it is told. */
export type HookTarget =
  | { readonly kind: 'app'; readonly id: number }
  | { readonly kind: 'organization'; readonly organization: Organization }
  | { readonly kind: 'repository'; readonly repository: Repository };

export interface HookConfig {
  /** Empty: nothing is sent. */
  readonly url: string;
  /** Undefined: nothing is signed. */
  readonly secret: string | undefined;
  readonly contentType: 'json' | 'form';
  /** True: the certificate of the receiver is not checked. */
  readonly insecureSsl: boolean;
}

export interface Hook {
  readonly id: number;
  readonly target: HookTarget;
  config: HookConfig;
  readonly events: readonly string[];
  readonly active: boolean;
  readonly createdAt: number;
}

export const NO_CONFIG: HookConfig = { url: '', secret: undefined, contentType: 'json', insecureSsl: false };

export interface HookBook {
  add(hook: Omit<Hook, 'id'>): Hook;
  get(id: number): Hook | undefined;
  /** Undefined: there is no App. */
  ofApp(): Hook | undefined;
  list(): Hook[];
}

export function createHookBook(): HookBook {
  const hooks = new Map<number, Hook>();
  return {
    add(wanted) {
      const hook = { ...wanted, id: 300_001 + hooks.size };
      hooks.set(hook.id, hook);
      return hook;
    },
    get: (id) => hooks.get(id),
    ofApp: () => [...hooks.values()].find((hook) => hook.target.kind === 'app'),
    list: () => [...hooks.values()],
  };
}

/** Whether this webhook is told of an event of that repository. An App is told by its installation alone. */
export function isTold(hook: Hook, event: string, repository: Repository, isInstalled: boolean): boolean {
  if (!hook.active || hook.config.url === '') return false;
  if (event !== 'ping' && !hook.events.includes(event) && !hook.events.includes('*')) return false;
  switch (hook.target.kind) {
    case 'app':
      return isInstalled;
    case 'organization':
      return hook.target.organization.id === repository.owner.id;
    case 'repository':
      return hook.target.repository.id === repository.id;
  }
}
