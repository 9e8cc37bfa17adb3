/** Webhooks as a test has them in hand. */
import type { Delivery, DeliveryBook } from './delivery-book.js';
import type { Hook, HookConfig } from './hook-book.js';
import type { WebhookFaults } from './webhook-faults.js';
import type { Webhooks } from './webhooks.js';

export interface WebhookOptions {
  readonly url: string;
  /** What they are signed with. Default: they are not signed. */
  readonly secret?: string;
  /** Default `json`. */
  readonly contentType?: 'json' | 'form';
  /** True: the certificate of the receiver is not checked. Default false. */
  readonly insecureSsl?: boolean;
}

export interface WebhookControls {
  /** Of the webhook: what `X-GitHub-Hook-ID` says. */
  readonly hookId: number;
  /**
   * Where the webhook leads from now on: the App's, or the organization's if there is no App. What is not given has its
   * default; another secret signs from the next delivery on.
   */
  configure(options: WebhookOptions): void;
  /** Has a `ping` sent. */
  ping(): void;
  /** Attempts to deliver, oldest first, for three days. */
  deliveries(): readonly Delivery[];
  /** As `POST …/deliveries/{id}/attempts`. False: there is no such delivery. */
  redeliver(deliveryId: number): boolean;
  /** Resolves when nothing is on its way any more. */
  settled(): Promise<void>;
  readonly faults: WebhookFaults;
}

export const toHookConfig = (options: WebhookOptions): HookConfig => ({
  url: options.url,
  secret: options.secret,
  contentType: options.contentType ?? 'json',
  insecureSsl: options.insecureSsl ?? false,
});

export function createWebhookControls(deps: {
  readonly hook: Hook;
  readonly webhooks: Webhooks;
  readonly deliveries: DeliveryBook;
  readonly faults: WebhookFaults;
}): WebhookControls {
  const { hook, webhooks, deliveries } = deps;
  return {
    hookId: hook.id,
    configure(options) {
      hook.config = toHookConfig(options);
    },
    ping: () => webhooks.ping(hook),
    deliveries: () => deliveries.list(),
    redeliver(deliveryId) {
      const delivery = deliveries.get(deliveryId);
      if (delivery !== undefined) webhooks.redeliver(delivery);
      return delivery !== undefined;
    },
    settled: () => webhooks.settled(),
    faults: deps.faults,
  };
}
