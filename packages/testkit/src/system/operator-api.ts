/**
 * An operator's program at the controller's HTTP API, as a careful one is written: what got no answer, or a 503, is asked
 * again, under the same Idempotency-Key, until there is one.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { CommandResource } from '@mig/common/api/command-resource';
import type { CreateDrainBody, DrainResource } from '@mig/common/api/drain-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import type { VmResource } from '@mig/common/api/vm-resource';

export interface CommandOrder {
  readonly type: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly delivery_deadline_ms?: number;
}

export interface OperatorApi {
  /** Resolves when the command was accepted; asks again as long as it takes. */
  submit(vmId: string, order: CommandOrder, key: string): Promise<CommandResource>;
  /** @throws ApiRefusalError also if an earlier try, whose answer was lost, has cancelled it */
  cancel(commandId: string): Promise<CommandResource>;
  createDrain(body: CreateDrainBody, key: string): Promise<DrainResource>;
  /** @throws ApiRefusalError also if an earlier try, whose answer was lost, was the one that ended it */
  undrain(drainId: string): Promise<DrainResource>;
  drain(drainId: string): Promise<DrainResource>;
  /** The VM takes no new jobs, or may again. */
  setCordon(vmId: string, cordoned: boolean): Promise<VmResource>;
  vms(filter?: { readonly pool_id?: string }): Promise<VmResource[]>;
  vm(vmId: string): Promise<VmResource>;
  command(commandId: string): Promise<CommandResource>;
  /** All of them, in the order of their submission, or those of one VM or state. */
  commands(filter?: { readonly vm_id?: string; readonly state?: string }): Promise<CommandResource[]>;
  /** All that are stored of the VM, oldest first. */
  events(vmId: string): Promise<EventResource[]>;
  /** How often there was no answer, or one that says to come again, and it was asked once more. */
  readonly retryCount: number;
}

/** The controller answered, and asking again would not change its answer. */
export class ApiRefusalError extends Error {
  constructor(
    what: string,
    readonly status: number,
    body: string,
  ) {
    super(`${what} was answered ${status}: ${body.slice(0, 500)}`);
    this.name = 'ApiRefusalError';
  }
}

/** An answer that takes longer is taken for lost. */
const TIMEOUT_MS = 10_000;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 1_000;
/** The largest page that the API gives. */
const PAGE = 10_000;

export function createOperatorApi(
  http: () => string,
  deps: { readonly signal: AbortSignal; readonly random: () => number },
): OperatorApi {
  const { signal, random } = deps;
  let retryCount = 0;

  async function once<T>(what: string, route: string, init: RequestInit): Promise<T> {
    const response = await fetch(`${http()}/api/v1/${route}`, {
      ...init,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text) as T;
    if (response.status === 503) throw new Error(`${what} was answered 503: ${text}`);
    throw new ApiRefusalError(what, response.status, text);
  }

  async function ask<T>(route: string, init: RequestInit = {}): Promise<T> {
    const what = `${init.method ?? 'GET'} ${route}`;
    for (let retry = 0; ; retry += 1) {
      try {
        return await once<T>(what, route, init);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof ApiRefusalError) throw error;
        retryCount += 1;
        const delayMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** retry) * (0.5 + random());
        await pause(delayMs, undefined, { signal });
      }
    }
  }

  const post = <T>(route: string, body: unknown, key: string): Promise<T> =>
    ask<T>(route, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });

  async function pages<T>(route: string, key: string, filter: Record<string, string>): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({
        ...filter,
        limit: String(PAGE),
        ...(cursor === undefined ? {} : { cursor }),
      });
      const page = await ask<Record<string, unknown>>(`${route}?${query.toString()}`);
      items.push(...(page[key] as T[]));
      cursor = page['next_cursor'] as string | undefined;
    } while (cursor !== undefined);
    return items;
  }

  return {
    submit: (vmId, order, key) => post(`vms/${vmId}/commands`, order, key),
    cancel: (commandId) => ask(`commands/${commandId}`, { method: 'DELETE' }),
    undrain: (drainId) => ask(`drains/${drainId}`, { method: 'DELETE' }),
    createDrain: (body, key) => post('drains', body, key),
    setCordon: (vmId, cordoned) =>
      ask(`vms/${vmId}/${cordoned ? 'cordon' : 'uncordon'}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(cordoned ? { reason: 'by the harness' } : {}),
      }),
    drain: (drainId) => ask(`drains/${drainId}`),
    vms: (filter = {}) => pages('vms', 'vms', { ...filter }),
    vm: (vmId) => ask(`vms/${vmId}`),
    command: (commandId) => ask(`commands/${commandId}`),
    commands: (filter = {}) => pages('commands', 'commands', { ...filter }),
    async events(vmId) {
      const events: EventResource[] = [];
      for (;;) {
        const last = events.at(-1)?.id;
        const query = last === undefined ? '' : `&after=${encodeURIComponent(last)}`;
        const page = await ask<{ events: EventResource[] }>(`vms/${vmId}/events?limit=${PAGE}${query}`);
        events.push(...page.events);
        // Without `after` it answers the newest; with more than a page of them the beginning would be missing.
        if (page.events.length < PAGE) return events;
      }
    },
    get retryCount() {
      return retryCount;
    },
  };
}
