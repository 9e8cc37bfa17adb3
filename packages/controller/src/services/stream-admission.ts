/** Who may open a stream, and what it is told when it may not. */
import type { ConnectRequest } from '@mig/common/domain/messages';
import type { Audit } from '../auth/audit-log.js';
import type { Limits } from '../auth/limits/limits.js';
import { bearerOf } from '../auth/operator-auth.js';
import type { Admitted, VmGate } from '../auth/vm-gate.js';
import { toRefusal } from './refusal.js';

export interface StreamCallerFacts {
  /** The header; undefined = there is none. */
  readonly authorization: string | undefined;
  /** Where the call comes from. */
  readonly peer: string;
}

export interface StreamAdmission {
  /** @throws RefusedCallError if it may not */
  admit(request: ConnectRequest, caller: StreamCallerFacts): Promise<Admitted>;
}

export function createStreamAdmission(deps: {
  readonly gate: Pick<VmGate, 'admitStream'>;
  readonly limits: Pick<Limits, 'connect'>;
  readonly audit: Audit;
}): StreamAdmission {
  const { gate, limits, audit } = deps;
  return {
    async admit({ vmId, poolId, bootId }, { authorization, peer }) {
      const bearer = bearerOf(authorization);
      try {
        const admitted = await gate.admitStream({ vmId, poolId, bootId, bearer, address: peer });
        limits.connect(vmId);
        return admitted;
      } catch (error) {
        throw toRefusal(error, audit, { vmId, route: 'StreamCommands', peer });
      }
    },
  };
}
