/** Whether what a call is about is within an operator's reach. What is not is answered as if it were not there. */
import type { FastifyRequest } from 'fastify';
import { printable } from '@mig/common/errors';
import { EVERY_POOL, isAtLeast, roleIn } from '@mig/common/domain/roles';
import { bodyOf } from './body-of.js';
import { ForbiddenError, needsRole } from './errors.js';
import type { OperatorPrincipal } from './principal.js';
import type { Right, Scope } from './route-rights.js';

/** In which pools the things are that a call may be about; undefined = there is no such thing. */
export interface Reach {
  vm(vmId: string): string | undefined;
  command(commandId: string): readonly string[] | undefined;
  drain(drainId: string): readonly string[] | undefined;
  task(taskId: string): readonly string[] | undefined;
  job(jobId: string): readonly string[] | undefined;
  /** Of a VM or an agent that tasks are for. */
  agent(vmId: string): readonly string[] | undefined;
  token(tokenId: string): readonly string[] | undefined;
}

export interface CallReachDeps {
  readonly reach: Reach;
  /** The error of a route that finds no such thing: what is out of reach is answered by the same. */
  readonly absent: (scope: Scope, id: string) => Error;
  /** The error of a drain that names VMs which there are not. */
  readonly unseen: (vmIds: readonly string[]) => Error;
}

/** @throws ForbiddenError, or the error of a thing that is not there */
export function assertReach(
  deps: CallReachDeps,
  request: FastifyRequest,
  principal: OperatorPrincipal,
  right: Extract<Right, { who: 'operator' }>,
): void {
  const found = poolsOfCall(deps.reach, right.over, request);
  if (found === undefined) return;
  for (const poolId of found.poolIds) {
    const has = roleIn(principal.grants, poolId);
    if (isAtLeast(has, right.role)) continue;
    // A VM that is named, and hidden, is looked at below.
    if (has === undefined && found.vmIds !== undefined) continue;
    request.refusal = `no role ${right.role} in pool ${poolId}`;
    if (has === undefined && found.id !== undefined) throw deps.absent(right.over, found.id);
    throw found.id === undefined && poolId !== EVERY_POOL
      ? new ForbiddenError(`this needs the role ${right.role} in pool ${printable(poolId)}`)
      : needsRole(right.role);
  }
  const isSeen = (vmId: string): boolean =>
    roleIn(principal.grants, deps.reach.vm(vmId) ?? '') !== undefined && deps.reach.vm(vmId) !== undefined;
  const unseen = (found.vmIds ?? []).filter((vmId) => !isSeen(vmId));
  const hidden = unseen.filter((vmId) => deps.reach.vm(vmId) !== undefined);
  if (hidden.length === 0) return;
  request.refusal = `no role in the pools of ${hidden.join(', ')}`;
  throw deps.unseen(unseen);
}

/** Undefined = there is nothing to check, or no such thing, which the route will say. */
function poolsOfCall(
  reach: Reach,
  over: Scope,
  request: FastifyRequest,
):
  | {
      readonly poolIds: readonly string[];
      readonly id?: string;
      /** Named by a drain: those that are hidden are as if they were not there. */
      readonly vmIds?: readonly string[];
    }
  | undefined {
  const params = (request.params ?? {}) as Readonly<Record<string, string>>;
  const of = (id: string, poolIds: readonly string[] | undefined) =>
    poolIds === undefined ? undefined : { poolIds, id };
  switch (over) {
    case 'own':
    case 'list':
      return undefined;
    case 'everything':
      return { poolIds: [EVERY_POOL] };
    case 'vm': {
      const id = params['vm_id'] ?? '';
      const poolId = reach.vm(id);
      return of(id, poolId === undefined ? undefined : [poolId]);
    }
    case 'command':
    case 'drain':
    case 'task':
    case 'job':
    case 'token': {
      const id = params['id'] ?? '';
      return of(id, reach[over](id));
    }
    case 'agent': {
      const id = String(bodyOf(request)['vm_id']);
      return of(id, reach.agent(id));
    }
    case 'selector':
      return poolsOfSelector(reach, bodyOf(request)['selector']);
    case 'given': {
      const { roles, pool_id: poolId } = bodyOf(request);
      return { poolIds: typeof poolId === 'string' ? [poolId] : Object.keys(roles ?? {}) };
    }
  }
}

/** Labels may choose VMs of any pool, also of those that are yet to come. */
function poolsOfSelector(
  reach: Reach,
  selector: unknown,
): { readonly poolIds: readonly string[]; readonly vmIds?: readonly string[] } {
  const { vm_ids: vmIds, pool_id: poolId } = (selector ?? {}) as {
    vm_ids?: readonly string[];
    pool_id?: string;
  };
  if (poolId !== undefined) return { poolIds: [poolId] };
  if (vmIds === undefined) return { poolIds: [EVERY_POOL] };
  return { poolIds: [...new Set(vmIds.flatMap((vmId) => reach.vm(vmId) ?? []))], vmIds };
}
