/**
 * A world around the machine that is moved at random, and a witness of what the machine may do to it.
 *
 * The world is one that can be: a runner lives, listens and takes a job only when it was started and is registered, and
 * GitHub refuses to delete it while its job runs. Within this, everything may come in any order.
 */
import * as fc from 'fast-check';
import { fatal, ok, retryable } from '@mig/common/outcome';
import {
  createHarness,
  deregisterAnswer,
  events,
  type Harness,
  type HarnessOptions,
} from './harness.contract.js';

export type Move =
  | { readonly kind: 'register' }
  | { readonly kind: 'undrain' }
  | { readonly kind: 'drain'; readonly force: boolean; readonly deadlineMs: number | undefined }
  | {
      readonly kind: 'shutdown';
      readonly force: boolean;
      readonly poweroff: boolean;
      readonly signal: boolean;
    }
  | { readonly kind: 'settings'; readonly heartbeatIntervalMs: number }
  | { readonly kind: 'announce' | 'configure'; readonly how: 'ok' | 'retryable' | 'fatal' | 'breaks' }
  | { readonly kind: 'deregister'; readonly how: 'asGitHub' | 'unavailable' | 'notManaged' | 'breaks' }
  | { readonly kind: 'linkUp'; readonly announceAgain: boolean }
  | { readonly kind: 'linkDown' }
  | { readonly kind: 'reconnect'; readonly afterMs: number }
  | { readonly kind: 'heartbeatPolicy'; readonly intervalMs: number }
  | { readonly kind: 'flush' | 'powerOff' }
  | {
      readonly kind: 'runner';
      readonly does: 'comes up' | 'listens' | 'takes a job' | 'ends its job' | 'ends' | 'crashes';
    }
  | { readonly kind: 'wait'; readonly ms: number };

type Order = Extract<Move, { kind: 'register' | 'drain' | 'undrain' | 'shutdown' }>;
type Answer = Extract<Move, { kind: 'announce' | 'configure' | 'deregister' | 'flush' | 'powerOff' }>;

const how = fc.constantFrom('ok', 'ok', 'ok', 'retryable', 'fatal', 'breaks');
const rarely = fc.nat(7).map((n) => n === 0);
const runnerMove = fc.record({
  kind: fc.constant('runner'),
  does: fc.constantFrom('comes up', 'listens', 'takes a job', 'ends its job', 'ends', 'crashes'),
});
/** What brings a VM on is more frequent than what ends it, so that every phase is come to. */
export const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('register') }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('undrain') }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('drain'),
        force: rarely,
        deadlineMs: fc.constantFrom(undefined, undefined, 0, 20_000, 90_000),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('shutdown'),
        force: rarely,
        poweroff: rarely,
        signal: rarely,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('settings'),
        heartbeatIntervalMs: fc.constantFrom(1_000, 60_000),
      }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('announce', 'configure'), how }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('deregister'),
        how: fc.constantFrom('asGitHub', 'asGitHub', 'asGitHub', 'unavailable', 'notManaged', 'breaks'),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('linkUp'), announceAgain: rarely }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('linkDown', 'flush', 'powerOff') }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('reconnect'),
        afterMs: fc.constantFrom(0, 1_000, 3_600_000),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('heartbeatPolicy'),
        intervalMs: fc.constantFrom(0, 1_000, 60_000),
      }),
    },
    { weight: 10, arbitrary: runnerMove },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('wait'),
        ms: fc.constantFrom(1, 1_000, 7_000, 35_000, 140_000),
      }),
    },
  ),
  { minLength: 10, maxLength: 60 },
);

const OUTCOMES = { ok: ok(undefined), retryable: retryable('later'), fatal: fatal('never') };
/** The first moves of most lists: a VM that comes up. */
export const COMES_UP: readonly Move[] = [
  { kind: 'announce', how: 'ok' },
  { kind: 'linkUp', announceAgain: false },
  { kind: 'register' },
  { kind: 'configure', how: 'ok' },
  { kind: 'runner', does: 'comes up' },
  { kind: 'runner', does: 'listens' },
];

export interface World {
  readonly harness: Harness;
  /** What the machine did that it must not do. */
  readonly crimes: readonly string[];
  /** Every command that went in while the machine ran. */
  readonly commandIds: readonly string[];
  play(moves: readonly Move[]): Promise<void>;
  /** Brings the machine to its end: force, and a world in which everything works. */
  end(): Promise<void>;
}

export function createWorld(options: HarnessOptions = {}): World {
  const crimes: string[] = [];
  const commandIds: string[] = [];
  /** Force was asked for since the VM was last brought into service. */
  let forced = false;
  /** The process was told to end while it might be cut short: that goes on, also if the drain is taken back. */
  let cutting = false;
  /** When the deadlines of the present drain end. */
  let deadlinesAt: number[] = [];
  let process: 'none' | 'asked' | 'alive' | 'busy' = 'none';
  let listened = false;
  /** GitHub may give the process a job. */
  let registered = false;
  /** The machine was told that it may not, or that there is nobody to say so. */
  let cleared = false;

  const harness = createHarness({
    ...options,
    onRunnerRequest({ type }) {
      if (type === 'start') {
        if (process !== 'none') crimes.push('started a second runner');
        process = 'asked';
        listened = false;
        registered = true;
        cleared = false;
        cutting = false;
        return;
      }
      const mayCut = cutting || forced || deadlinesAt.some((at) => at <= harness.clock.now());
      cutting ||= mayCut;
      if (process === 'busy' && !mayCut) crimes.push(`${type} while a job runs (I5)`);
      if (process === 'alive' && !cleared && !mayCut)
        crimes.push(`${type} while GitHub may hand out a job (I5)`);
    },
  });
  const running = (): boolean => harness.actor.getSnapshot().status === 'active';
  const newId = (): string => {
    const id = `c${commandIds.length + 1}`;
    commandIds.push(id);
    return id;
  };

  async function takeOrder(move: Order): Promise<void> {
    const before = harness.drainedMemory.length;
    switch (move.kind) {
      case 'register':
        await harness.send(events.register(newId()));
        break;
      case 'undrain':
        await harness.send(events.undrain(newId()));
        break;
      case 'drain':
        forced ||= move.force;
        if (move.deadlineMs) deadlinesAt.push(harness.clock.now() + move.deadlineMs);
        await harness.send(events.drain(newId(), { force: move.force, deadlineMs: move.deadlineMs }));
        break;
      case 'shutdown':
        forced ||= move.force;
        await harness.send(
          events.shutdown(move.signal ? undefined : newId(), { force: move.force, poweroff: move.poweroff }),
        );
        break;
    }
    // Brought back: what was said before counts no more.
    if (harness.drainedMemory.slice(before).includes(false)) {
      forced = false;
      deadlinesAt = [];
    }
  }

  async function runnerDoes(does: Extract<Move, { kind: 'runner' }>['does']): Promise<void> {
    if (does === 'comes up' && process === 'asked') {
      process = 'alive';
      await harness.runnerTells(events.started());
    } else if (does === 'listens' && process === 'alive' && !listened) {
      listened = true;
      await harness.runnerTells(events.listening());
    } else if (does === 'takes a job' && process === 'alive' && registered && listened) {
      process = 'busy';
      await harness.runnerTells(events.jobStarted());
    } else if (does === 'ends its job' && process === 'busy') {
      process = 'alive';
      await harness.runnerTells(events.jobFinished());
    } else if ((does === 'ends' && process === 'alive') || (does === 'crashes' && process !== 'none')) {
      process = 'none';
      await harness.runnerTells(events.exited(does === 'ends' ? 0 : 1));
    }
  }

  async function answer(move: Answer): Promise<void> {
    switch (move.kind) {
      case 'announce':
      case 'configure': {
        const port = move.kind === 'announce' ? 'announce' : 'configureRunner';
        if (!harness.isAsked(port)) return;
        await (move.how === 'breaks'
          ? harness.reject(port, 'broke')
          : harness.answer(port, OUTCOMES[move.how]));
        return;
      }
      case 'deregister': {
        if (!harness.isAsked('deregister')) return;
        if (move.how === 'breaks') return harness.reject('deregister', 'broke');
        const outcome = move.how !== 'asGitHub' ? move.how : process === 'busy' ? 'busy' : 'deleted';
        if (outcome === 'deleted') registered = false;
        cleared ||= outcome === 'deleted' || outcome === 'notManaged';
        return harness.answer('deregister', deregisterAnswer(outcome));
      }
      case 'flush':
      case 'powerOff':
        if (harness.isAsked(move.kind)) await harness.answer(move.kind, undefined);
    }
  }

  async function make(move: Move): Promise<void> {
    if (!running()) return;
    switch (move.kind) {
      case 'register':
      case 'drain':
      case 'undrain':
      case 'shutdown':
        return takeOrder(move);
      case 'settings':
        return harness.send(events.settings(newId(), { heartbeatIntervalMs: move.heartbeatIntervalMs }));
      case 'linkUp':
        if (harness.link() === 'open.connecting')
          await harness.linkTells(events.up({ announceAgain: move.announceAgain }));
        return;
      case 'linkDown':
        return harness.linkTells(events.down());
      case 'reconnect':
        if (harness.link() === 'open.online')
          await harness.linkTells({ type: 'link.reconnect', afterMs: move.afterMs });
        return;
      case 'heartbeatPolicy':
        if (harness.link() === 'open.online')
          await harness.linkTells({ type: 'heartbeat.policy', intervalMs: move.intervalMs });
        return;
      case 'runner':
        return runnerDoes(move.does);
      case 'wait':
        return harness.advance(move.ms);
      case 'announce':
      case 'configure':
      case 'deregister':
      case 'flush':
      case 'powerOff':
        return answer(move);
    }
  }

  const world: World = {
    harness,
    crimes,
    commandIds,
    async play(list) {
      for (const move of list) await make(move);
    },
    async end() {
      const works: Move[] = [
        { kind: 'deregister', how: 'asGitHub' },
        { kind: 'runner', does: 'crashes' },
        { kind: 'wait', ms: 35_000 },
        { kind: 'flush' },
        { kind: 'powerOff' },
      ];
      await make({ kind: 'shutdown', force: true, poweroff: false, signal: false });
      for (let turn = 0; turn < 20 && running(); turn += 1) await world.play(works);
    },
  };
  return world;
}
