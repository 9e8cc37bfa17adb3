/**
 * The states of a VM as its controller records them.
 *
 * A state is the path in the MIGlet's machine, `phase` or `phase.step` (`ready.idle`). The record moves along the
 * table below (invariant I6). A MIGlet reports states as samples, so the table is the closure of the machine's own
 * arrows: what can follow, not only what follows next. Only `shutdown` is final, and only for its boot: a new boot
 * begins at `booting` again.
 */
import { IllegalTransitionError } from '../errors.js';

export const VM_PHASES = ['booting', 'registering', 'ready', 'draining', 'shutdown'] as const;
export type VmPhase = (typeof VM_PHASES)[number];

export const VM_TRANSITIONS: Readonly<Record<VmPhase, readonly VmPhase[]>> = {
  booting: ['booting', 'registering', 'ready', 'draining', 'shutdown'],
  // A MIGlet that was killed and comes back in the same boot announces itself anew: back to booting.
  registering: ['booting', 'registering', 'ready', 'draining', 'shutdown'],
  ready: ['booting', 'registering', 'ready', 'draining', 'shutdown'],
  // A drained VM can be registered again.
  draining: ['booting', 'registering', 'ready', 'draining', 'shutdown'],
  shutdown: ['shutdown'],
};

/** The states that a legacy MIGlet reports, and ours for each. `error` has none: it says nothing about the phase. */
const LEGACY_STATES: Readonly<Record<string, string>> = {
  initializing: 'booting',
  connecting: 'registering.connecting',
  ready: 'registering.awaitingCommand',
  registering_runner: 'registering.configuring',
  idle: 'ready.idle',
  job_running: 'ready.busy',
  draining: 'draining',
  shutting_down: 'shutdown',
};

/** The phase of a state path, or undefined if it has none that we know. */
export function phaseOf(state: string): VmPhase | undefined {
  const head = state.split('.', 1)[0];
  return VM_PHASES.find((phase) => phase === head);
}

/**
 * The state path for what a MIGlet calls its state: ours as it is, a legacy word translated.
 * Undefined for anything else (`error`, an empty string, a word from the future): the record then stays where it is.
 */
export function parseReportedState(reported: string): string | undefined {
  // `constructor` is no word of the table.
  const legacy = Object.hasOwn(LEGACY_STATES, reported) ? LEGACY_STATES[reported] : undefined;
  if (legacy !== undefined) return legacy;
  return /^[a-zA-Z]+(\.[a-zA-Z]+)*$/.test(reported) && phaseOf(reported) !== undefined ? reported : undefined;
}

/** @throws IllegalTransitionError if the table has no such move within one boot */
export function assertVmTransition(vmId: string, from: string, to: string): void {
  const fromPhase = phaseOf(from);
  const toPhase = phaseOf(to);
  if (fromPhase === undefined || toPhase === undefined || !VM_TRANSITIONS[fromPhase].includes(toPhase)) {
    throw new IllegalTransitionError(`VM ${vmId}`, from, to);
  }
}

/** Does `state` match what an operator filters by: the same path, or a phase or step above it? */
export const stateMatches = (state: string, filter: string): boolean =>
  state === filter || state.startsWith(`${filter}.`);

/** Its life is over: by its own word it ends, or has ended. */
export const hasEnded = (vm: { readonly state: string; readonly outcome: string | undefined }): boolean =>
  vm.outcome !== undefined || phaseOf(vm.state) === 'shutdown';
