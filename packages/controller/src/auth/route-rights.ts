/**
 * Who may call which route, as data. A route that is not in the table does not start: http-guard.ts asks for every one.
 */
import type { Role } from '@mig/common/domain/roles';

export type Right =
  /** Anybody; costs the address so much of its credit. Default 1. */
  | { readonly who: 'anybody'; readonly cost?: number }
  /** The VM that the path names. */
  | { readonly who: 'vm' }
  /** An operator with at least this role somewhere; what it is about is looked at as `over` says. */
  | { readonly who: 'operator'; readonly role: Role; readonly over: Scope; readonly action?: Action };

/**
 * What the role must reach. `own`: nothing but oneself. `list`: what is out of reach is left out of the answer.
 * `vm`, `command`, `drain`, `token`, `task`, `job`: the one of the path. `agent`: the VM that the body of a task names.
 * `selector`: every VM that the body of a drain chooses.
 * `given`: every pool that the body of a new token names. `everything`: all pools.
 */
export type Scope =
  | 'own'
  | 'list'
  | 'vm'
  | 'command'
  | 'drain'
  | 'token'
  | 'task'
  | 'job'
  | 'agent'
  | 'selector'
  | 'given'
  | 'everything';

type Json = Readonly<Record<string, unknown>>;

/** How a call stands in the audit log: its name, and what of its body and of the answer does. */
export interface Action {
  readonly name: string;
  readonly detail?: (body: Json) => Readonly<Record<string, string>>;
  /** What it made or changed, by the answer; asked only where it was done. */
  readonly result?: (answer: Json) => Readonly<Record<string, string>>;
  /** To what it was done, where the path does not say. @param answer empty where it was refused */
  readonly target?: (body: Json, answer: Json) => string;
}

const ANYBODY: Right = { who: 'anybody' };
/** Quickly answered, and asked for often. */
const PROBE: Right = { who: 'anybody', cost: 0.2 };
const VM: Right = { who: 'vm' };
const viewer = (over: Scope): Right => ({ who: 'operator', role: 'viewer', over });
const operator = (over: Scope, name: string, action: Omit<Action, 'name'> = {}): Right => ({
  who: 'operator',
  role: 'operator',
  over,
  action: { name, ...action },
});
const admin = (over: Scope, action?: Action): Right => ({
  who: 'operator',
  role: 'admin',
  over,
  ...(action === undefined ? {} : { action }),
});

const text = (value: unknown): string =>
  value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
/** These keys of the body, where they are given. */
const only =
  (...keys: readonly string[]): NonNullable<Action['detail']> =>
  (body) =>
    Object.fromEntries(keys.flatMap((key) => (body[key] === undefined ? [] : [[key, text(body[key])]])));

/** The VMs of a drain. */
const drainResult = ({ id, vms }: Json): Readonly<Record<string, string>> => ({
  drain: text(id),
  vms: Array.isArray(vms) ? vms.map((vm: { vm_id?: unknown }) => text(vm.vm_id)).join(',') : '',
});

/** The VMs that were named, or else the kind of choice. */
function drainTarget({ selector }: Json): string {
  const { vm_ids: vmIds, pool_id: poolId, labels } = (selector ?? {}) as Json;
  if (Array.isArray(vmIds)) return vmIds.map(text).join(',');
  if (poolId !== undefined) return `pool:${text(poolId)}`;
  return labels === undefined ? 'all' : `labels:${text(labels)}`;
}

/** What a task does, without its environment: that may hold secrets (I8). */
function workOf({ shell, docker }: Json): Readonly<Record<string, string>> {
  if (shell !== undefined) return { command: text((shell as { cmd?: unknown }).cmd) };
  const [[operation, about] = ['', undefined]] = Object.entries(docker ?? {});
  const { image, container } = (about ?? {}) as { image?: unknown; container?: unknown };
  return { docker: [operation, text(image ?? container)].join(' ').trim() };
}

/** By method and path as the route was registered; HEAD is as GET. */
export const ROUTE_RIGHTS: Readonly<Record<string, Right>> = {
  'GET /healthz': PROBE,
  'GET /readyz': PROBE,
  'GET /health': PROBE,
  // It is large.
  'GET /api/v1/openapi.json': { who: 'anybody', cost: 10 },
  // What GitHub publishes, asked for once an hour: nothing that a VM would have to prove itself for.
  'GET /api/v1/runner-downloads': ANYBODY,
  // GitHub signs what it sends; the route checks that.
  'POST /webhooks/github': ANYBODY,

  'POST /api/v1/vms/:vm_id/join': VM,
  'POST /api/v1/vms/:vm_id/events': VM,
  'POST /api/v1/vms/:vm_id/heartbeat': VM,
  'GET /api/v1/vms/:vm_id/commands': VM,
  'POST /api/v1/vms/:vm_id/commands/:id/ack': VM,
  'POST /api/v1/vms/:vm_id/registration-token': VM,

  'GET /api/v1/vms': viewer('list'),
  'GET /api/v1/vms/:vm_id': viewer('vm'),
  'GET /api/v1/vms/:vm_id/events': viewer('vm'),
  'GET /api/v1/vms/:vm_id/heartbeats': viewer('vm'),
  'GET /api/v1/commands': viewer('list'),
  'GET /api/v1/commands/:id': viewer('command'),
  'GET /api/v1/drains': viewer('list'),
  'GET /api/v1/drains/:id': viewer('drain'),
  'GET /api/v1/tasks': viewer('list'),
  'GET /api/v1/tasks/:id': viewer('task'),
  'GET /api/v1/tasks/:id/output': viewer('task'),
  'GET /api/v1/jobs': viewer('list'),
  'GET /api/v1/jobs/:id': viewer('job'),
  'GET /api/v1/jobs/:id/why': viewer('job'),
  'GET /api/v1/jobs/:id/output': viewer('job'),
  'GET /api/v1/nodes': viewer('list'),
  'GET /api/v1/whoami': viewer('own'),
  'GET /api/v1/workflow-jobs': viewer('list'),
  // What is out of reach the route itself answers as unknown: a job is on a VM only while it runs.
  'GET /api/v1/workflow-jobs/:id': viewer('list'),
  // GitHub's view is of the whole organization.
  'GET /api/v1/github': viewer('everything'),
  'GET /api/v1/github/runners': viewer('everything'),

  'POST /api/v1/vms/:vm_id/commands': operator('vm', 'command.submit', {
    detail: only('type'),
    result: ({ id }) => ({ command: text(id) }),
  }),
  'DELETE /api/v1/commands/:id': operator('command', 'command.cancel', { result: only('vm_id', 'type') }),
  'POST /api/v1/drains': operator('selector', 'drain.create', {
    detail: only('selector', 'reason', 'force', 'then'),
    result: drainResult,
    target: drainTarget,
  }),
  'DELETE /api/v1/drains/:id': operator('drain', 'drain.undrain', { result: drainResult }),
  'POST /api/v1/vms/:vm_id/cordon': operator('vm', 'vm.cordon', { detail: only('reason') }),
  'POST /api/v1/vms/:vm_id/uncordon': operator('vm', 'vm.uncordon'),
  'POST /api/v1/vms/:vm_id/release': operator('vm', 'vm.release'),

  'POST /api/v1/tasks': operator('agent', 'task.run', {
    detail: workOf,
    result: ({ id }) => ({ task: text(id) }),
    target: ({ vm_id: vmId }) => text(vmId),
  }),
  'DELETE /api/v1/tasks/:id': operator('task', 'task.cancel', { result: only('vm_id') }),
  // The route itself lets a job run only in the pools in which its submitter is an operator.
  'POST /api/v1/jobs': operator('own', 'job.submit', {
    detail: only('name', 'type'),
    target: (_, { id }) => text(id),
  }),
  'POST /api/v1/jobs/check': { who: 'operator', role: 'operator', over: 'own' },
  'DELETE /api/v1/jobs/:id': operator('job', 'job.cancel'),

  'POST /api/v1/tokens': admin('given', {
    name: 'token.create',
    detail: only('kind', 'name', 'roles', 'pool_id', 'vm_id', 'max_vms', 'expires_in_ms'),
    target: (_, { id }) => text(id),
  }),
  'GET /api/v1/tokens': admin('list'),
  'DELETE /api/v1/tokens/:id': admin('token', { name: 'token.revoke', result: only('name', 'kind') }),
  'POST /api/v1/revoked-certificates': admin('everything', {
    name: 'certificate.revoke',
    target: ({ serial }) => text(serial),
  }),
  'GET /api/v1/revoked-certificates': admin('everything'),
  'GET /api/v1/audit': admin('everything'),
};
