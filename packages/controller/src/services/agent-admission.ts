/** Who may speak as an agent of tasks or as a node: a VM by its session, or whoever has a join token (auth/vm-gate.ts). */
import { ServerError, Status, type CallContext } from 'nice-grpc';
import { assertId } from '@mig/common/domain/ids';
import { InvalidIdError } from '@mig/common/errors';
import type { Audit } from '../auth/audit-log.js';
import { TooMuchError, type Limits } from '../auth/limits/limits.js';
import { bearerOf } from '../auth/operator-auth.js';
import type { VmGate } from '../auth/vm-gate.js';
import type { Door } from '../door/door.js';
import { RefusedError, toRefusal } from './refusal.js';

export interface AdmittedAgent {
  readonly agentId: string;
  /** Of its credential, or as the fleet knows it; empty = neither says. */
  readonly poolId: string;
}

export interface AgentAdmission {
  /** The agent of a stream, by the metadata `agent_id` and `agent_token`. @throws ServerError if it may not */
  agent(context: CallContext): Promise<AdmittedAgent>;
  /** The node of a call, by the metadata `authorization: Bearer …`; each call counts as a message. @throws ServerError */
  node(nodeId: string, context: CallContext): Promise<AdmittedAgent>;
}

export function createAgentAdmission(deps: {
  readonly gate: Pick<VmGate, 'admitAgent'>;
  readonly limits: Pick<Limits, 'connect' | 'message'>;
  readonly audit: Audit;
  readonly door: Pick<Door, 'vouch' | 'refuse'>;
}): AgentAdmission {
  const { gate, limits, audit, door } = deps;

  async function admit(
    agentId: string,
    token: string | undefined,
    context: CallContext,
    route: string,
    count: () => void,
  ): Promise<AdmittedAgent> {
    try {
      const { poolId } = await gate.admitAgent({ agentId, token, address: context.peer });
      count();
      door.vouch(context.peer, agentId);
      return { agentId, poolId };
    } catch (error) {
      if (error instanceof TooMuchError) door.refuse(context.peer);
      const refusal = toRefusal(error, audit, { vmId: agentId, route, peer: context.peer });
      if (refusal instanceof RefusedError)
        for (const [key, values] of refusal.trailer) context.trailer.set(key, values);
      throw refusal;
    }
  }

  return {
    agent(context) {
      const agentId = context.metadata.get('agent_id') ?? '';
      checkId('agent_id', agentId);
      const token = context.metadata.get('agent_token') || undefined;
      return admit(agentId, token, context, 'StreamTasks', () => limits.connect(agentId));
    },
    node(nodeId, context) {
      checkId('node_id', nodeId);
      const token = bearerOf(context.metadata.get('authorization'));
      return admit(nodeId, token, context, 'NodeAgentService', () => limits.message(nodeId, 0));
    },
  };
}

/** @throws ServerError if the value cannot be an id (I10) */
export function checkId(field: string, value: string): void {
  try {
    assertId(field, value);
  } catch (error) {
    if (error instanceof InvalidIdError) throw new ServerError(Status.INVALID_ARGUMENT, error.message);
    throw error;
  }
}
