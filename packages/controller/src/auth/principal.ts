import type { Grants } from '@mig/common/domain/roles';

/** A person or a program at the operator API. */
export interface OperatorPrincipal {
  readonly kind: 'operator';
  /** Given by whoever made the credential: anybody may have any. */
  readonly name: string;
  /** Of the credential, which nobody can choose: the id of a token, `cert:SERIAL`, `oidc:SUBJECT`. */
  readonly id: string;
  readonly grants: Grants;
  /** By what it is known; `none`: this controller asks for no credential. */
  readonly via: 'token' | 'certificate' | 'oidc' | 'none';
  readonly expiresAt?: number | undefined;
}

/** A VM that has joined: it may speak for itself alone (I10). */
export interface VmPrincipal {
  readonly kind: 'vm';
  readonly vmId: string;
  readonly poolId: string;
  /** Empty = a legacy MIGlet. */
  readonly bootId: string;
  /** By what it is known; `none`: its pool asks for no credential. */
  readonly via: 'session' | 'join' | 'none';
}

export type Principal = OperatorPrincipal | VmPrincipal;

/** As it stands in the audit log: an operator with the id of its credential, since a name can be given twice. */
export function actorOf(principal: Principal | undefined): string {
  if (principal === undefined || principal.via === 'none') return 'anonymous';
  return principal.kind === 'vm' ? vmActor(principal.vmId) : `operator:${principal.name} (${principal.id})`;
}

export const vmActor = (vmId: string): string => `vm:${vmId}`;
