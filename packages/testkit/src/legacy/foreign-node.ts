/** A node that was written from the original contract alone, with grpc-js and proto-loader. */
import { Metadata, credentials, type ServiceError } from '@grpc/grpc-js';
import type { LegacyMessage } from './contract.js';
import { loadForeignService } from './foreign-agent.js';

export interface ForeignNode {
  readonly nodeId: string;
  heartbeat(fields?: LegacyMessage): Promise<LegacyMessage>;
  getJob(): Promise<LegacyMessage>;
  claimJob(jobId: string): Promise<LegacyMessage>;
  updateStatus(jobId: string, status: string, detail?: string): Promise<LegacyMessage>;
  close(): void;
}

type Unary = (
  request: LegacyMessage,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: LegacyMessage) => void,
) => void;

const PATIENCE_MS = 10_000;

/** @param endpoint HOST:PORT of the controller @param token left out if undefined */
export function connectForeignNode(endpoint: string, nodeId: string, token?: string): ForeignNode {
  const Service = loadForeignService('agent.proto', 'talk', 'NodeAgentService');
  const client = new Service(endpoint, credentials.createInsecure());
  const call = (method: string, request: LegacyMessage): Promise<LegacyMessage> =>
    new Promise((resolve, reject) => {
      const metadata = new Metadata();
      if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
      const run = client[method]?.bind(client) as unknown as Unary;
      const deadline = Date.now() + PATIENCE_MS;
      run(request, metadata, { deadline }, (error, response) =>
        error === null ? resolve(response) : reject(error),
      );
    });
  return {
    nodeId,
    heartbeat: (fields = {}) =>
      call('Heartbeat', {
        node_id: nodeId,
        timestamp: Math.floor(Date.now() / 1_000),
        ram_mb: 4_096,
        cpu_percent: 200,
        disk_mb: 10_000,
        metadata: {},
        ...fields,
      }),
    getJob: () => call('GetJob', { node_id: nodeId }),
    claimJob: (jobId) => call('ClaimJob', { node_id: nodeId, job_id: jobId }),
    updateStatus: (jobId, status, detail = '') =>
      call('UpdateStatus', {
        node_id: nodeId,
        job_id: jobId,
        status,
        detail,
        timestamp: Math.floor(Date.now() / 1_000),
      }),
    close: () => client.close(),
  };
}
