import type { Clock } from '@mig/common/clock';
import { invalidRequest, json } from './answers.js';
import { ROUTE_NAMES, type Answer, type RouteName } from './exchange.js';
import type { DelayNextOptions, DeleteLag, FailNextOptions, Faults } from './faults.js';
import type { LoseOptions, WebhookChaos, WebhookFaults } from './webhooks/webhook-faults.js';

/** `POST /_stand-in/admin/faults`: what is given is set. A key or a route that does not exist is refused, and nothing set. */
export interface FaultRequest {
  /** First of all, every fault ends. */
  readonly clear?: boolean;
  readonly busyLagMs?: number;
  readonly deleteLag?: Partial<DeleteLag>;
  readonly removalLagMs?: number;
  /** Null: idle runners stay. */
  readonly jitIdleRemovalMs?: number | null;
  readonly failNext?: FailNextOptions & { readonly route: RouteName };
  readonly delay?: { readonly route: RouteName; readonly delayMs: number };
  readonly delayNext?: DelayNextOptions & { readonly route: RouteName };
  readonly hold?: RouteName;
  readonly release?: RouteName;
  /** Nobody reaches the stand-in for so long. */
  readonly unreachableForMs?: number;
  /** Leaves so many requests in every rate limit. */
  readonly rateLimitRemaining?: number;
  /** Everything is refused as abuse for so long. */
  readonly secondaryLimitForMs?: number;
  readonly webhooks?: {
    readonly loseNext?: LoseOptions;
    readonly duplicateNext?: Parameters<WebhookFaults['duplicateNext']>[0];
    readonly delayNext?: Parameters<WebhookFaults['delayNext']>[0];
    readonly reorderNext?: number;
    readonly emptyLabels?: boolean;
    /** Null ends it. */
    readonly chaos?: WebhookChaos | null;
  };
}

export interface FaultRequestDeps {
  readonly faults: Faults;
  readonly webhooks: { readonly faults: WebhookFaults };
  readonly rateLimit: { setRemaining(count: number): void; tripSecondary(forMs: number): void };
  readonly clock: Clock;
}

const KEYS: Record<keyof FaultRequest, true> = {
  clear: true,
  busyLagMs: true,
  deleteLag: true,
  removalLagMs: true,
  jitIdleRemovalMs: true,
  failNext: true,
  delay: true,
  delayNext: true,
  hold: true,
  release: true,
  unreachableForMs: true,
  rateLimitRemaining: true,
  secondaryLimitForMs: true,
  webhooks: true,
};

export function setFaults(deps: FaultRequestDeps, body: unknown): Answer {
  const wanted = (body ?? {}) as FaultRequest;
  const wrong = findWrong(wanted);
  if (wrong.length > 0) return invalidRequest(wrong);
  setRouteFaults(deps, wanted);
  setWebhookFaults(deps.webhooks.faults, wanted.webhooks ?? {});
  return json(200, {});
}

function setRouteFaults(
  { faults, rateLimit, clock, webhooks }: FaultRequestDeps,
  wanted: FaultRequest,
): void {
  if (wanted.clear === true) {
    faults.clear();
    webhooks.faults.clear();
  }
  if (wanted.busyLagMs !== undefined) faults.setBusyLagMs(wanted.busyLagMs);
  if (wanted.deleteLag !== undefined) faults.setDeleteLag(wanted.deleteLag);
  if (wanted.removalLagMs !== undefined) faults.setRemovalLagMs(wanted.removalLagMs);
  if (wanted.jitIdleRemovalMs !== undefined) faults.setJitIdleRemovalMs(wanted.jitIdleRemovalMs ?? undefined);
  if (wanted.failNext !== undefined) faults.failNext(wanted.failNext.route, wanted.failNext);
  if (wanted.delay !== undefined) faults.delay(wanted.delay.route, wanted.delay.delayMs);
  if (wanted.delayNext !== undefined) faults.delayNext(wanted.delayNext.route, wanted.delayNext);
  if (wanted.hold !== undefined) faults.hold(wanted.hold);
  if (wanted.release !== undefined) faults.release(wanted.release);
  if (wanted.rateLimitRemaining !== undefined) rateLimit.setRemaining(wanted.rateLimitRemaining);
  if (wanted.secondaryLimitForMs !== undefined) rateLimit.tripSecondary(wanted.secondaryLimitForMs);
  if (wanted.unreachableForMs !== undefined) {
    // after the answer to this very request is on its way
    clock.setTimer(() => faults.setReachable(false), 50);
    clock.setTimer(() => faults.setReachable(true), 50 + wanted.unreachableForMs);
  }
}

function setWebhookFaults(faults: WebhookFaults, wanted: NonNullable<FaultRequest['webhooks']>): void {
  if (wanted.loseNext !== undefined) faults.loseNext(wanted.loseNext);
  if (wanted.duplicateNext !== undefined) faults.duplicateNext(wanted.duplicateNext);
  if (wanted.delayNext !== undefined) faults.delayNext(wanted.delayNext);
  if (wanted.reorderNext !== undefined) faults.reorderNext(wanted.reorderNext);
  if (wanted.emptyLabels !== undefined) faults.setEmptyLabels(wanted.emptyLabels);
  if (wanted.chaos !== undefined) faults.setChaos(wanted.chaos ?? undefined);
}

function findWrong(wanted: FaultRequest): string[] {
  const keys = Object.keys(wanted).filter((key) => !Object.hasOwn(KEYS, key));
  const routes = [
    wanted.failNext?.route,
    wanted.delay?.route,
    wanted.delayNext?.route,
    wanted.hold,
    wanted.release,
  ].filter((route) => route !== undefined && !(ROUTE_NAMES as readonly unknown[]).includes(route));
  return [
    ...keys.map((key) => `"${key}" is not a permitted key: use ${Object.keys(KEYS).join(', ')}.`),
    ...routes.map((route) => `${JSON.stringify(route)} is no route: use ${ROUTE_NAMES.join(', ')}.`),
  ];
}
