/** Who may open a stream, and what it is told when it may not. */
import { Status } from 'nice-grpc';
import type { ConnectRequest } from '@mig/common/domain/messages';
import type { Audit } from '../auth/audit-log.js';
import { TooMuchError, type Limits } from '../auth/limits/limits.js';
import { bearerOf } from '../auth/operator-auth.js';
import { peerAddress } from '../auth/peer-address.js';
import { actorOf, type VmPrincipal } from '../auth/principal.js';
import type { Admitted, VmGate } from '../auth/vm-gate.js';
import type { Door } from '../door/door.js';
import { toRefusal } from './refusal.js';

export interface StreamCallerFacts {
  /** The header; undefined = there is none. */
  readonly authorization: string | undefined;
  /** Where the call comes from. */
  readonly peer: string;
}

export interface StreamAdmission {
  /** @throws RefusedError if it may not */
  admit(request: ConnectRequest, caller: StreamCallerFacts): Promise<Admitted>;
  /** The VM of a stream spoke for another one, which ends its stream: who, for whom, from where. */
  impersonated(speaker: VmPrincipal, claimedVmId: string, peer: string): void;
}

const ROUTE = 'StreamCommands';

export function createStreamAdmission(deps: {
  readonly gate: Pick<VmGate, 'admitStream'>;
  readonly limits: Pick<Limits, 'connect'>;
  readonly door: Pick<Door, 'vouch' | 'refuse'>;
  readonly audit: Audit;
}): StreamAdmission {
  const { gate, limits, door, audit } = deps;
  return {
    impersonated: (speaker, claimedVmId, peer) =>
      audit.record({
        actor: actorOf(speaker),
        action: 'access',
        target: claimedVmId,
        from: peerAddress(peer),
        outcome: 'refused',
        detail: {
          route: ROUTE,
          status: Status[Status.PERMISSION_DENIED],
          reason: `a message on the stream of VM ${speaker.vmId} names another VM`,
        },
      }),

    async admit({ vmId, poolId, bootId }, { authorization, peer }) {
      const bearer = bearerOf(authorization);
      try {
        const admitted = await gate.admitStream({ vmId, poolId, bootId, bearer, address: peer });
        limits.connect(vmId);
        door.vouch(peer, vmId);
        return admitted;
      } catch (error) {
        if (error instanceof TooMuchError) door.refuse(peer);
        throw toRefusal(error, audit, { vmId, route: ROUTE, peer });
      }
    },
  };
}
