/**
 * Tables of transitions: a row for every leaf, a cell for everything that it can hear.
 *
 * A cell is `STATE` or `STATE | what it did, in order`; `=` is the same state. Rows that leave a pair out fail, so a new
 * state or event cannot come without saying what it does.
 */
import { expect } from '@jest/globals';
import { fatal, ok, retryable } from '@mig/common/outcome';
import { deregisterAnswer, events, job } from './harness.contract.js';
import { isTransient, leavesOf, privateEventsOf, step, type Place, type Region } from './chart.contract.js';
import type { MigletContext, MigletEvent } from './types.js';

/** One of each type; the compiler asks for a new one. */
const SAMPLES: { readonly [T in MigletEvent['type']]: MigletEvent & { type: T } } = {
  'register.request': events.register('register') as never,
  'drain.request': events.drain('drain') as never,
  'undrain.request': events.undrain('undrain') as never,
  'shutdown.request': events.shutdown('shutdown') as never,
  'settings.update': events.settings('settings', { heartbeatIntervalMs: 5_000 }) as never,
  'drain.deadlineReached': { type: 'drain.deadlineReached' },
  'stop.graceEnded': { type: 'stop.graceEnded' },
  announced: { type: 'announced' },
  'announce.refused': { type: 'announce.refused', reason: 'this pool is not known' },
  'link.up': events.up() as never,
  'link.down': events.down() as never,
  'link.reconnect': { type: 'link.reconnect', afterMs: 3_000 },
  'link.missed': { type: 'link.missed' },
  'heartbeat.due': { type: 'heartbeat.due' },
  'heartbeat.policy': { type: 'heartbeat.policy', intervalMs: 20_000 },
  'runner.started': events.started() as never,
  'runner.listening': events.listening() as never,
  'job.started': events.jobStarted() as never,
  'job.finished': events.jobFinished() as never,
  'runner.exited': events.exited(1) as never,
  'job.described': { type: 'job.described', job: job() },
  'runner.hung': events.hung('no_job_after_acknowledge') as never,
  'runner.disconnected': { type: 'runner.disconnected', reason: 'no route', at: 1_000 },
  'runner.reconnected': { type: 'runner.reconnected', at: 2_000 },
  'runner.updating': { type: 'runner.updating', reason: 'another version is asked for' },
  'runner.restarting': {
    type: 'runner.restarting',
    why: 'retry',
    code: 2,
    reason: 'it may pass',
    attempt: 1,
  },
  'lifecycle.ended': { type: 'lifecycle.ended' },
};
/** The same types with data that lead elsewhere. */
const VARIANTS = {
  'drain.request force': events.drain('drain', { force: true }),
  'shutdown.request force': events.shutdown('shutdown', { force: true }),
  'link.up announceAgain': events.up({ announceAgain: true }),
  'runner.exited 0': events.exited(0),
  'runner.exited gone': events.ended({ registrationGone: true }),
  'runner.exited never': events.ended({ well: false, next: 'never' }, 7),
  'runner.exited spent': events.ended({ well: false, next: 'afterBackoff', spent: true }, 5),
  'runner.hung worker_lingers': events.hung('worker_lingers'),
  'register.request replace': events.register('register', { replace: true }),
} satisfies Record<string, MigletEvent>;

export const EVENT_TYPES = Object.keys(SAMPLES) as MigletEvent['type'][];
export const sampleOf = (type: MigletEvent['type']): MigletEvent => SAMPLES[type];

export type EventName = MigletEvent['type'] | keyof typeof VARIANTS;
const NAMED: Record<string, MigletEvent> = { ...SAMPLES, ...VARIANTS };

/** With what each port can answer. */
const OUTPUTS: Record<string, Record<string, unknown>> = {
  announce: { ok: ok(undefined), retryable: retryable('busy'), fatal: fatal('not known') },
  configureRunner: { ok: ok(undefined), retryable: retryable('timeout'), fatal: fatal('bad token') },
  deregister: {
    deleted: deregisterAnswer('deleted'),
    notManaged: deregisterAnswer('notManaged'),
    busy: deregisterAnswer('busy'),
    unavailable: deregisterAnswer('unavailable'),
  },
  flush: { '': undefined },
  powerOff: { '': undefined },
};

type PrivateName = `after ${string}` | `done ${string}` | `error ${string}`;
export type Cells = { readonly [name in EventName | PrivateName]?: string };

export interface Row {
  readonly leaf: string;
  /** What makes it another row of the same leaf; such a row need not be complete. */
  readonly when?: string;
  readonly at?: Partial<Place>;
  readonly given: Partial<MigletContext>;
  readonly cells: Cells;
}

/** These change nothing and do nothing. */
export const stays = (...names: readonly EventName[]): Cells =>
  Object.fromEntries(names.map((name) => [name, '=']));

/** Everything that a leaf can hear, by name. */
function heardBy(region: Region, leaf: string): Map<string, MigletEvent | { type: string }> {
  const node = leavesOf(region).get(leaf);
  if (node === undefined) throw new Error(`there is no state ${region}.${leaf}`);
  const heard = new Map<string, MigletEvent | { type: string }>(Object.entries(NAMED));
  for (const [name, type] of privateEventsOf(node)) {
    if (name === 'error runner') continue; // the root's; it is `runner.exited` everywhere
    const outputs = name.startsWith('done ') ? OUTPUTS[name.slice('done '.length)] : undefined;
    if (outputs === undefined) heard.set(name, Object.assign({ type }, { error: new Error('it broke') }));
    else {
      for (const [answer, output] of Object.entries(outputs)) {
        heard.set(answer === '' ? name : `${name}: ${answer}`, Object.assign({ type }, { output }));
      }
    }
  }
  return heard;
}

/** The states that rest, and so need a row. */
export const restingLeaves = (region: Region): string[] =>
  [...leavesOf(region)].filter(([, node]) => !isTransient(node)).map(([path]) => path);
export const transientLeaves = (region: Region): string[] =>
  [...leavesOf(region)].filter(([, node]) => isTransient(node)).map(([path]) => path);

/** @param sees which of the deeds the table speaks of */
export function expectRow(region: Region, base: Place, row: Row, sees: (deed: string) => boolean): void {
  const heard = heardBy(region, row.leaf);
  if (row.when === undefined) expect(Object.keys(row.cells).sort()).toEqual([...heard.keys()].sort());
  const actual: Record<string, string> = {};
  for (const name of Object.keys(row.cells)) {
    const event = heard.get(name);
    if (event === undefined) throw new Error(`${row.leaf} cannot hear ${name}`);
    const next = step({ ...base, ...row.at, [region]: row.leaf }, row.given, event);
    const did = next.did.filter(sees);
    actual[name] =
      `${next[region] === row.leaf ? '=' : next[region]}${did.length > 0 ? ` | ${did.join(', ')}` : ''}`;
  }
  expect(actual).toEqual(row.cells);
}
