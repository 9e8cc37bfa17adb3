/** `NodeAgentService`: nodes that pull jobs. Every id is checked (I10); what is decided is decided by the job manager. */
import { ServerError, Status, type CallContext, type ServiceImplementation } from 'nice-grpc';
import { assertId } from '@mig/common/domain/ids';
import { InvalidIdError } from '@mig/common/errors';
import type { nodeAgentServiceDefinition } from '@mig/common/wire/node-agent-service';
import type { AgentAuthority } from '../agents/agent-authority.js';
import type { JobManager } from '../jobs/job-manager.js';
import { StoreUnavailableError } from '../store/store.js';
import { STOPPING_MESSAGE } from './farewell.js';
import type { InFlight } from './in-flight.js';

export interface NodeAgentServiceDeps {
  readonly jobs: JobManager;
  readonly authority: AgentAuthority;
  readonly stopping: AbortSignal;
  readonly inFlight: InFlight;
}

type Service = ServiceImplementation<typeof nodeAgentServiceDefinition>;

export function createNodeAgentService(deps: NodeAgentServiceDeps): Service {
  const { jobs, authority, stopping, inFlight } = deps;

  /** @throws ServerError */
  function admit(nodeId: string, { metadata }: CallContext): void {
    if (stopping.aborted) throw new ServerError(Status.UNAVAILABLE, STOPPING_MESSAGE);
    checkId('node_id', nodeId);
    const token = /^Bearer (.+)$/i.exec(metadata.get('authorization') ?? '')?.[1] ?? '';
    const refusal = authority.refuse(nodeId, token);
    if (refusal !== undefined) throw new ServerError(Status.UNAUTHENTICATED, refusal);
  }

  const stored = <T>(work: Promise<T>): Promise<T> =>
    inFlight.track(work).catch((error: unknown) => {
      if (error instanceof StoreUnavailableError) throw new ServerError(Status.UNAVAILABLE, error.message);
      throw error;
    });

  return {
    async heartbeat(request, context) {
      admit(request.nodeId, context);
      return jobs.heartbeat(request);
    },
    async getJob(request, context) {
      admit(request.nodeId, context);
      return jobs.offer(request.nodeId);
    },
    async claimJob(request, context) {
      admit(request.nodeId, context);
      checkId('job_id', request.jobId);
      return stored(jobs.claim(request));
    },
    async updateStatus(request, context) {
      admit(request.nodeId, context);
      checkId('job_id', request.jobId);
      return stored(jobs.update(request));
    },
  };
}

function checkId(field: string, value: string): void {
  try {
    assertId(field, value);
  } catch (error) {
    if (error instanceof InvalidIdError) throw new ServerError(Status.INVALID_ARGUMENT, error.message);
    throw error;
  }
}
