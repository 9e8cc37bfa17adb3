/** Webhooks over REST: making them, the App's own, their deliveries and how to have one made again. */
import { json, notFound, refusal } from '../answers.js';
import type { Clock } from '@mig/common/clock';
import type { Directory } from '../directory.js';
import type { Answer, Route, RouteName, StandInRequest } from '../exchange.js';
import { toGitHubTime } from '../resources/places.js';
import { scopeKey, type Scope } from '../scope.js';
import { toRoutes, type ScopeKind } from '../scoped-routes.js';
import type { Delivery, DeliveryBook } from './delivery-book.js';
import type { Hook, HookBook, HookConfig } from './hook-book.js';
import type { Webhooks } from './webhooks.js';

export interface HookRoutesDeps {
  readonly hooks: HookBook;
  readonly deliveries: DeliveryBook;
  readonly webhooks: Pick<Webhooks, 'ping' | 'redeliver'>;
  readonly directory: Directory;
  readonly clock: Clock;
}

const OWNED: readonly ScopeKind[] = ['organization', 'repository'];
const PERMISSIONS = { organization: 'organization_hooks', repository: 'repository_hooks' };
const MAX_PAGE = 100;
const DEFAULT_PAGE = 30;

/** As GitHub's description has it. */
interface ConfigRequest {
  readonly url?: string;
  readonly content_type?: string;
  readonly secret?: string;
  readonly insecure_ssl?: string | number;
}

export function createHookRoutes(deps: HookRoutesDeps): Route[] {
  const { hooks, deliveries, webhooks, directory } = deps;

  function createHook(request: StandInRequest, scope: Scope): Answer {
    if ('enterprise' in scope) return notFound();
    const wanted = (request.body ?? {}) as {
      name?: string;
      config?: ConfigRequest;
      events?: string[];
      active?: boolean;
    };
    if ((wanted.name ?? 'web') !== 'web') return invalid('Hook', 'name');
    if (wanted.config?.url === undefined || !URL.canParse(wanted.config.url)) return invalid('Hook', 'url');
    const organization = directory.findOrganization(scope.owner);
    const repository =
      scope.repo === undefined ? undefined : directory.findRepository(scope.owner, scope.repo);
    if (organization === undefined) return notFound();
    const hook = hooks.add({
      target:
        repository === undefined
          ? { kind: 'organization', organization }
          : { kind: 'repository', repository },
      config: toConfig(wanted.config, {
        url: '',
        secret: undefined,
        contentType: 'form',
        insecureSsl: false,
      }),
      events: wanted.events ?? ['push'],
      active: wanted.active ?? true,
      createdAt: deps.clock.now(),
    });
    webhooks.ping(hook);
    const location = `${request.apiUrl}${scope.repo === undefined ? '/orgs/' : '/repos/'}${scopeKey(scope)}/hooks/${hook.id}`;
    return json(201, toHookResource(hook, location), { location });
  }

  /** Newest first. The cursor is where the page begins; the `link` header has the next one. */
  function listDeliveries(request: StandInRequest, hook: Hook): Answer {
    const cursor = request.query.get('cursor');
    const before = cursor === null ? Infinity : Number(/^v1_(\d+)$/.exec(cursor)?.[1] ?? NaN);
    if (Number.isNaN(before)) return refusal(400, `Invalid cursor: ${cursor ?? ''}`);
    const status = request.query.get('status');
    const wantedSize = Number(request.query.get('per_page') ?? DEFAULT_PAGE);
    const size = wantedSize >= 1 ? Math.min(Math.floor(wantedSize), MAX_PAGE) : DEFAULT_PAGE;
    const found = deliveries
      .list(hook)
      .reverse()
      .filter(({ id, statusCode }) => id < before && (status === null || status === outcomeOf(statusCode)));
    const page = found.slice(0, size);
    const headers =
      found.length > page.length ? { link: nextLink(request, page.at(-1)?.id ?? 0) } : undefined;
    return json(200, page.map(toItem), headers);
  }

  const ofDelivery =
    (handle: (delivery: Delivery) => Answer) =>
    (request: StandInRequest, hook: Hook): Answer => {
      const delivery = deliveries.get(Number(request.params['delivery_id']));
      return delivery?.hook === hook ? handle(delivery) : notFound();
    };

  function redeliver(delivery: Delivery): Answer {
    webhooks.redeliver(delivery);
    return json(202, {});
  }

  /** The App's, and those of organizations and repositories. */
  const route = (
    name: RouteName,
    method: string,
    path: string,
    handle: (request: StandInRequest, hook: Hook) => Answer,
  ): Route[] => [
    {
      name,
      side: 'github',
      credential: 'app',
      method,
      path: `/app/hook/${path}`,
      handle(request) {
        const hook = hooks.ofApp();
        return hook === undefined ? notFound() : handle(request, hook);
      },
    },
    ...toRoutes(directory, {
      name,
      method,
      path: `hooks/{hook_id}/${path}`,
      kinds: OWNED,
      permissions: PERMISSIONS,
      handle(request, scope) {
        const hook = hooks.get(Number(request.params['hook_id']));
        return hook !== undefined && ownerOf(hook) === scopeKey(scope) ? handle(request, hook) : notFound();
      },
    }),
  ];

  const appConfig = (
    name: RouteName,
    method: string,
    handle: (request: StandInRequest, hook: Hook) => Answer,
  ): Route => ({
    name,
    side: 'github',
    credential: 'app',
    method,
    path: '/app/hook/config',
    handle(request) {
      const hook = hooks.ofApp();
      return hook === undefined ? notFound() : handle(request, hook);
    },
  });

  return [
    appConfig('get-app-hook', 'GET', (_request, hook) => json(200, toConfigResource(hook.config))),
    appConfig('update-app-hook', 'PATCH', (request, hook) => {
      hook.config = toConfig(request.body ?? {}, hook.config);
      return json(200, toConfigResource(hook.config));
    }),
    ...toRoutes(directory, {
      name: 'create-hook',
      method: 'POST',
      path: 'hooks',
      kinds: OWNED,
      permissions: PERMISSIONS,
      handle: createHook,
    }),
    ...route('list-deliveries', 'GET', 'deliveries', listDeliveries),
    ...route(
      'get-delivery',
      'GET',
      'deliveries/{delivery_id}',
      ofDelivery((delivery) => json(200, toWhole(delivery))),
    ),
    ...route('redeliver', 'POST', 'deliveries/{delivery_id}/attempts', ofDelivery(redeliver)),
  ];
}

function toConfig(wanted: ConfigRequest, present: HookConfig): HookConfig {
  return {
    url: wanted.url ?? present.url,
    secret: wanted.secret ?? present.secret,
    contentType:
      wanted.content_type === undefined
        ? present.contentType
        : wanted.content_type === 'json'
          ? 'json'
          : 'form',
    insecureSsl:
      wanted.insecure_ssl === undefined ? present.insecureSsl : String(wanted.insecure_ssl) === '1',
  };
}

/** Schema `webhook-config`: the secret is never shown; an address that was never given is left out. */
const toConfigResource = (config: HookConfig) => ({
  ...(config.url === '' ? {} : { url: config.url }),
  content_type: config.contentType,
  insecure_ssl: config.insecureSsl ? '1' : '0',
  ...(config.secret === undefined ? {} : { secret: '********' }),
});

/** What `org-hook` and `hook` require. */
function toHookResource(hook: Hook, url: string) {
  return {
    type: hook.target.kind === 'organization' ? 'Organization' : 'Repository',
    id: hook.id,
    name: 'web',
    active: hook.active,
    events: hook.events,
    config: toConfigResource(hook.config),
    updated_at: toGitHubTime(hook.createdAt),
    created_at: toGitHubTime(hook.createdAt),
    url,
    ping_url: `${url}/pings`,
    deliveries_url: `${url}/deliveries`,
    ...(hook.target.kind === 'organization'
      ? {}
      : { test_url: `${url}/test`, last_response: { code: null, status: 'unused', message: null } }),
  };
}

/** Schema `hook-delivery-item`. */
const toItem = (delivery: Delivery) => ({
  id: delivery.id,
  guid: delivery.guid,
  delivered_at: toGitHubTime(delivery.deliveredAt),
  redelivery: delivery.redelivery,
  duration: Math.round(delivery.durationMs) / 1000,
  status: delivery.status,
  status_code: delivery.statusCode,
  event: delivery.event,
  action: delivery.action,
  installation_id: delivery.installationId,
  repository_id: delivery.repositoryId,
  throttled_at: null,
});

/** Schema `hook-delivery`. */
const toWhole = (delivery: Delivery) => ({
  ...toItem(delivery),
  url: delivery.url,
  request: { headers: delivery.requestHeaders, payload: delivery.payload },
  response: { headers: delivery.answerHeaders, payload: delivery.answer },
});

/** By the status code, as the description has it. */
const outcomeOf = (statusCode: number) => (statusCode >= 200 && statusCode < 400 ? 'success' : 'failure');

function nextLink(request: StandInRequest, lastId: number): string {
  const query = new URLSearchParams(request.query);
  query.set('cursor', `v1_${lastId}`);
  return `<${request.origin}${request.path}?${query.toString()}>; rel="next"`;
}

function ownerOf({ target }: Hook): string | undefined {
  if (target.kind === 'organization') return scopeKey({ owner: target.organization.login });
  return target.kind === 'repository'
    ? scopeKey({ owner: target.repository.owner.login, repo: target.repository.name })
    : undefined;
}

const invalid = (resource: string, field: string): Answer =>
  json(422, {
    message: 'Validation Failed',
    errors: [{ resource, field, code: 'invalid' }],
    documentation_url: 'https://docs.github.com/rest',
    status: '422',
  });
