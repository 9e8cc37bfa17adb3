/** The machine's chart as data, and one step of it without an actor: for the tables of transitions. */
import {
  initialTransition,
  transition,
  type AnyStateNode,
  type AnyTransitionDefinition,
  type EventFromLogic,
} from 'xstate';
import { idleEffects, inputOf, pathIn } from './harness.contract.js';
import { createMigletMachine, type MigletMachine } from './miglet-machine.js';
import type { MigletContext, MigletEvent } from './types.js';

export type Region = 'lifecycle' | 'link' | 'runner';

export const machine: MigletMachine = createMigletMachine(idleEffects);
const [initial] = initialTransition(machine, inputOf());
export const initialContext: MigletContext = initial.context;

export const nodesBelow = (node: AnyStateNode): AnyStateNode[] => [
  node,
  ...Object.values(node.states).flatMap(nodesBelow),
];
const ancestorsOf = (node: AnyStateNode): AnyStateNode[] =>
  node.parent === undefined ? [] : [node.parent, ...ancestorsOf(node.parent)];

export const regionNode = (region: Region): AnyStateNode =>
  machine.root.states[region] as unknown as AnyStateNode;
export const root = machine.root as unknown as AnyStateNode;
export const pathWithin = (node: AnyStateNode): string => node.path.slice(1).join('.');

/** Every leaf of a region by its path. */
export const leavesOf = (region: Region): ReadonlyMap<string, AnyStateNode> =>
  new Map(
    nodesBelow(regionNode(region))
      .filter((node) => Object.keys(node.states).length === 0)
      .map((node) => [pathWithin(node), node]),
  );

/** Every actor of the machine is invoked by name. */
export const nameOf = (src: unknown): string => (typeof src === 'string' ? src : 'not by name');

export const transitionsOf = (node: AnyStateNode): AnyTransitionDefinition[] => [
  ...[...node.transitions.values()].flat(),
  ...(node.always ?? []),
];

/** A leaf that is left in the step in which it is entered: final, or with an eventless way out that has no guard. */
export const isTransient = (node: AnyStateNode): boolean =>
  node.type === 'final' || (node.always ?? []).some((always) => always.guard === undefined);

/** What a leaf hears beside the machine's own events: `after DELAY`, `done SRC` and `error SRC`, own and inherited. */
export function privateEventsOf(leaf: AnyStateNode): Map<string, string> {
  const found = new Map<string, string>();
  for (const node of [leaf, ...ancestorsOf(leaf)]) {
    for (const { delay, eventType } of node.after as readonly { delay: unknown; eventType: string }[]) {
      found.set(`after ${nameOf(delay)}`, eventType);
    }
    for (const { src, id } of node.invoke as readonly { src: unknown; id: string }[]) {
      found.set(`error ${nameOf(src)}`, `xstate.error.actor.${id}`);
      // A callback never ends by itself.
      if (node.transitions.has(`xstate.done.actor.${id}`))
        found.set(`done ${nameOf(src)}`, `xstate.done.actor.${id}`);
    }
  }
  return found;
}

export interface Place {
  readonly lifecycle: string;
  readonly link: string;
  readonly runner: string;
}
export interface Step extends Place {
  /** What it did to the world, in order. */
  readonly did: readonly string[];
  readonly context: MigletContext;
}

const valueOf = (path: string): unknown =>
  path
    .split('.')
    .reduceRight<unknown>((value, key) => (value === undefined ? key : { [key]: value }), undefined);

/** What becomes of the machine in this place when it hears this. */
export function step(
  place: Place,
  context: Partial<MigletContext>,
  event: MigletEvent | { type: string },
): Step {
  const value = {
    lifecycle: valueOf(place.lifecycle),
    link: valueOf(place.link),
    runner: valueOf(place.runner),
  };
  const snapshot = machine.resolveState({
    value: value as never,
    context: { ...initialContext, ...context },
  });
  // A resolved snapshot has no actors; the runner's is needed to be sent to.
  (snapshot as { children: unknown }).children = initial.children;
  const [next, actions] = transition(machine, snapshot, event as EventFromLogic<MigletMachine>);
  return {
    lifecycle: pathIn(next, 'lifecycle'),
    link: pathIn(next, 'link'),
    runner: pathIn(next, 'runner'),
    did: actions.flatMap((action) => deedOf(action as unknown as Deed)),
    context: next.context,
  };
}

interface Deed {
  readonly type: string;
  readonly params?: {
    readonly [name: string]: unknown;
    readonly result?: { readonly success: boolean };
    readonly event?: { readonly type: string };
  };
}

/** `settle c1 ok`, `settle c1 failed`, `emit draining`, `runner stop`, `heartbeat`, `remember drained`. */
function deedOf({ type, params = {} }: Deed): string[] {
  const ending = params.result?.success === true ? 'ok' : 'failed';
  switch (type) {
    case 'settle':
      return params['commandId'] === undefined ? [] : [`settle ${params['commandId'] as string} ${ending}`];
    case 'settleAll':
      return (params['commandIds'] as string[]).map((id) => `settle ${id} ${ending}`);
    case 'emitEvent':
      return [`emit ${String(params['type'])}`];
    case 'xstate.sendTo':
      return params['targetId'] === 'runner' ? [`runner ${params.event?.type}`] : [];
    case 'sendHeartbeat':
      return ['heartbeat'];
    case 'rememberDrained':
      return [params['drained'] === true ? 'remember drained' : 'forget drained'];
    case 'rememberEnded':
      return ['remember ended'];
    default:
      return [];
  }
}
