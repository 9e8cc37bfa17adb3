/** `NodeAgentService`: nodes that pull jobs. Every id is checked (I10); what is decided is decided by the job manager. */
import { ServerError, Status, type CallContext, type ServiceImplementation } from 'nice-grpc';
import type { nodeAgentServiceDefinition } from '@mig/common/wire/node-agent-service';
import type { JobManager } from '../jobs/job-manager.js';
import { StoreUnavailableError } from '../store/store.js';
import { checkId, type AdmittedAgent, type AgentAdmission } from './agent-admission.js';
import { STOPPING_MESSAGE } from './farewell.js';
import type { InFlight } from './in-flight.js';

export interface NodeAgentServiceDeps {
  readonly jobs: JobManager;
  readonly agents: AgentAdmission;
  readonly stopping: AbortSignal;
  readonly inFlight: InFlight;
}

type Service = ServiceImplementation<typeof nodeAgentServiceDefinition>;

export function createNodeAgentService(deps: NodeAgentServiceDeps): Service {
  const { jobs, agents, stopping, inFlight } = deps;

  /** @throws ServerError */
  function admit(nodeId: string, context: CallContext): Promise<AdmittedAgent> {
    if (stopping.aborted) throw new ServerError(Status.UNAVAILABLE, STOPPING_MESSAGE);
    return agents.node(nodeId, context);
  }

  const stored = <T>(work: Promise<T>): Promise<T> =>
    inFlight.track(work).catch((error: unknown) => {
      if (error instanceof StoreUnavailableError) throw new ServerError(Status.UNAVAILABLE, error.message);
      throw error;
    });

  return {
    async heartbeat(request, context) {
      const { poolId } = await admit(request.nodeId, context);
      return jobs.heartbeat(request, poolId);
    },
    async getJob(request, context) {
      await admit(request.nodeId, context);
      return jobs.offer(request.nodeId);
    },
    async claimJob(request, context) {
      await admit(request.nodeId, context);
      checkId('job_id', request.jobId);
      return stored(jobs.claim(request));
    },
    async updateStatus(request, context) {
      await admit(request.nodeId, context);
      checkId('job_id', request.jobId);
      return stored(jobs.update(request));
    },
  };
}
