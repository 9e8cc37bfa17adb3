/** The list of deliveries that GitHub keeps for three days, and how to have one made again. */
import * as z from 'zod';
import { GitHubCallError, type GitHubClient } from '../client/github-client.js';

/** One attempt to deliver a webhook. */
export interface Delivery {
  readonly id: number;
  /** The same for every attempt. */
  readonly guid: string;
  /** Milliseconds since 1970, by GitHub's clock. */
  readonly deliveredAt: number;
  readonly event: string;
  readonly action: string | undefined;
  /** It was answered with 2xx. */
  readonly succeeded: boolean;
  /** GitHub's words: `OK`, `timed out`, `Invalid HTTP Response: 503`. */
  readonly status: string;
}

export interface DeliveryPage {
  /** Newest first. */
  readonly deliveries: readonly Delivery[];
  /** Undefined: there are no older ones. */
  readonly next: string | undefined;
}

/** Every call throws GitHubCallError, and nothing else. */
export interface DeliveriesApi {
  /** Whose deliveries they are: `/app/hook`, `/orgs/acme/hooks/7`. */
  readonly source: string;
  /** @param cursor `next` of the page before; undefined: the newest */
  page(cursor: string | undefined): Promise<DeliveryPage>;
  /** Has the delivery made again; when and with what outcome, the list says later. */
  redeliver(deliveryId: number): Promise<void>;
}

const PER_PAGE = 100;

const pageSchema = z.array(
  z.object({
    id: z.int(),
    guid: z.string(),
    delivered_at: z.iso.datetime({ offset: true }),
    status: z.string(),
    status_code: z.number(),
    event: z.string(),
    action: z.string().nullish(),
  }),
);

/** Those of the App's own webhook. */
export const createAppDeliveriesApi = (client: GitHubClient): DeliveriesApi => ({
  source: '/app/hook',
  page: async (cursor) =>
    toPage(
      await client.callAsApp('listing', (octokit, request) =>
        octokit.rest.apps.listWebhookDeliveries({ per_page: PER_PAGE, ...given(cursor), request }),
      ),
    ),
  redeliver: async (delivery_id) =>
    void (await client.callAsApp('reconciliation', (octokit, request) =>
      octokit.rest.apps.redeliverWebhookDelivery({ delivery_id, request }),
    )),
});

/** Those of an organization's webhook: the token needs admin:org_hook. */
export function createOrgDeliveriesApi(client: GitHubClient, org: string, hook_id: number): DeliveriesApi {
  const scope = { kind: 'org', org } as const;
  return {
    source: `/orgs/${org}/hooks/${hook_id}`,
    page: async (cursor) =>
      toPage(
        await client.call(scope, 'listing', (octokit, request) =>
          octokit.rest.orgs.listWebhookDeliveries({
            org,
            hook_id,
            per_page: PER_PAGE,
            ...given(cursor),
            request,
          }),
        ),
      ),
    redeliver: async (delivery_id) =>
      void (await client.call(scope, 'reconciliation', (octokit, request) =>
        octokit.rest.orgs.redeliverWebhookDelivery({ org, hook_id, delivery_id, request }),
      )),
  };
}

const given = (cursor: string | undefined) => (cursor === undefined ? {} : { cursor });

function toPage(answer: {
  readonly data: unknown;
  readonly headers: { readonly link?: string };
}): DeliveryPage {
  const parsed = pageSchema.safeParse(answer.data);
  if (!parsed.success) {
    const fault = parsed.error.issues[0];
    throw new GitHubCallError(
      'unreachable',
      `GitHub's list of deliveries is not understood (${fault?.path.join('.') ?? ''}: ${fault?.message ?? ''})`,
      undefined,
      undefined,
    );
  }
  return {
    deliveries: parsed.data.map((item) => ({
      id: item.id,
      guid: item.guid,
      deliveredAt: Date.parse(item.delivered_at),
      event: item.event,
      action: item.action ?? undefined,
      succeeded: item.status_code >= 200 && item.status_code < 300,
      status: item.status,
    })),
    next: nextCursor(answer.headers.link),
  };
}

/** The cursor in the `link` header: `<https://…?cursor=v1_7&per_page=100>; rel="next"`. */
function nextCursor(link: string | undefined): string | undefined {
  const next = /<([^>]+)>;\s*rel="next"/.exec(link ?? '')?.[1];
  return next !== undefined && URL.canParse(next)
    ? (new URL(next).searchParams.get('cursor') ?? undefined)
    : undefined;
}
