/** What can happen to a webhook on its way: it is lost, comes twice, late, or after one that was sent later. */
import type { WorkflowJobAction } from '../description/workflow-job-schemas.js';
import { seededRandom } from '../seeded-random.js';

interface Some {
  /** How many deliveries. Default 1. */
  readonly count?: number;
  /** Only those of this action. Default any. */
  readonly action?: WorkflowJobAction;
}

export interface LoseOptions extends Some {
  /**
   * True (default): the attempt is on the list of deliveries as failed, and can be made again. False: nobody ever hears of
   * it.
   */
  readonly recorded?: boolean;
}

export interface WebhookChaos {
  /** The same seed has the same effect on the same deliveries. */
  readonly seed: number;
  /** Of all deliveries, 0 to 1. Default 0 each. */
  readonly lost?: number;
  readonly lostUnrecorded?: number;
  readonly duplicated?: number;
  /** Each is late by a random time in this range, so that they overtake each other. Default none is. */
  readonly delayMs?: { readonly min: number; readonly max: number };
}

/** Redeliveries suffer like the first attempts. */
export interface WebhookFaults {
  loseNext(options?: LoseOptions): void;
  /** Each is sent twice, with the same GUID. */
  duplicateNext(options?: Some): void;
  delayNext(options: Some & { readonly delayMs: number }): void;
  /** The next so many are kept until all of them are there, and then sent one after another in the opposite order. */
  reorderNext(count: number): void;
  /** Completed jobs are told without their labels (actions-runner-controller issue 1370). */
  setEmptyLabels(isEmpty: boolean): void;
  /** Takes the place of earlier chaos; undefined ends it. */
  setChaos(chaos: WebhookChaos | undefined): void;
  /** Ends every fault; those that are kept are sent. */
  clear(): void;
}

/** What happens to one delivery. */
export interface Fate {
  readonly lost: 'recorded' | 'unrecorded' | undefined;
  readonly copies: number;
  readonly delayMs: number;
}

export interface WebhookFaultDesk extends WebhookFaults {
  hasEmptyLabels(): boolean;
  /**
   * Calls `send` with its fate, now or when those are there that it has to come after. `send` resolves when it has been
   * delivered, or never will be.
   */
  pass(action: string | null, send: (fate: Fate) => Promise<void>): void;
}

interface Rule {
  left: number;
  readonly action: string | undefined;
  readonly kind: keyof Fate;
  readonly fate: Partial<Fate>;
}

const NO_FAULT: Fate = { lost: undefined, copies: 1, delayMs: 0 };

export function createWebhookFaultDesk(): WebhookFaultDesk {
  /** In the order in which they were asked for; of each kind, one at a time. */
  const rules: Rule[] = [];
  let kept: (() => Promise<void>)[] = [];
  let keepCount = 0;
  let emptyLabels = false;
  let chaos: (() => Fate) | undefined;

  function addRule({ count = 1, action }: Some, kind: keyof Fate, fate: Partial<Fate>): void {
    rules.push({ left: count, action, kind, fate });
  }

  /** What was asked for of this delivery; nothing was: what chance has for it. */
  function nextFate(action: string | null): Fate {
    const chance = chaos?.() ?? NO_FAULT;
    const kinds = new Map<keyof Fate, Rule>();
    for (const rule of rules) {
      const applies = rule.left > 0 && (rule.action === undefined || rule.action === action);
      if (applies && !kinds.has(rule.kind)) kinds.set(rule.kind, rule);
    }
    if (kinds.size === 0) return chance;
    for (const rule of kinds.values()) rule.left -= 1;
    return [...kinds.values()].reduce<Fate>((fate, rule) => ({ ...fate, ...rule.fate }), NO_FAULT);
  }

  async function sendKept(): Promise<void> {
    const inOrder = kept;
    kept = [];
    keepCount = 0;
    for (const go of inOrder.reverse()) await go();
  }

  return {
    loseNext: ({ recorded = true, ...some } = {}) =>
      addRule(some, 'lost', { lost: recorded ? 'recorded' : 'unrecorded' }),
    duplicateNext: (some = {}) => addRule(some, 'copies', { copies: 2 }),
    delayNext: ({ delayMs, ...some }) => addRule(some, 'delayMs', { delayMs }),
    reorderNext(count) {
      keepCount = count;
    },
    setEmptyLabels(isEmpty) {
      emptyLabels = isEmpty;
    },
    setChaos(wanted) {
      chaos = wanted === undefined ? undefined : createChaos(wanted);
    },
    clear() {
      rules.length = 0;
      emptyLabels = false;
      chaos = undefined;
      void sendKept();
    },
    hasEmptyLabels: () => emptyLabels,
    pass(action, send) {
      const fate = nextFate(action);
      if (keepCount === 0) return void send(fate);
      kept.push(() => send(fate));
      if (kept.length >= keepCount) void sendKept();
    },
  };
}

function createChaos({ seed, lost = 0, lostUnrecorded = 0, duplicated = 0, delayMs }: WebhookChaos) {
  const random = seededRandom(seed);
  return (): Fate => {
    // three numbers for each, whatever they are used for: one fault more does not move all others
    const [loss, copy, delay] = [random(), random(), random()];
    return {
      lost: loss < lost ? 'recorded' : loss < lost + lostUnrecorded ? 'unrecorded' : undefined,
      copies: copy < duplicated ? 2 : 1,
      delayMs: delayMs === undefined ? 0 : delayMs.min + delay * (delayMs.max - delayMs.min),
    };
  };
}
