/** The calls of a node. Each connects by itself if need be, and gives up after a time. */
import { ChannelCredentials, Metadata, createChannel, createClient, type Client } from 'nice-grpc';
import type {
  HeartbeatAnswer,
  JobOffer,
  NodeAnswer,
  NodeHeartbeat,
  StatusUpdate,
} from '@mig/common/domain/node-messages';
import { nodeAgentServiceDefinition } from '@mig/common/wire/node-agent-service';
import { closeChannel } from '../controller-link/close-channel.js';

export interface NodeClient {
  heartbeat(heartbeat: NodeHeartbeat): Promise<HeartbeatAnswer>;
  getJob(): Promise<JobOffer>;
  claimJob(jobId: string): Promise<NodeAnswer>;
  updateStatus(update: StatusUpdate): Promise<NodeAnswer>;
  close(): void;
}

const CALL_MS = 15_000;

/** @param endpoint HOST:PORT; asked for again when it has changed @param token read at every call */
export function createNodeClient(nodeId: string, endpoint: () => string, token: () => string): NodeClient {
  let open:
    | { readonly to: string; readonly client: Client<typeof nodeAgentServiceDefinition>; close(): void }
    | undefined;

  function client(): Client<typeof nodeAgentServiceDefinition> {
    const to = endpoint();
    if (open?.to !== to) {
      open?.close();
      const channel = createChannel(`http://${to}`, ChannelCredentials.createInsecure(), {
        'grpc.enable_retries': 0,
        'grpc.enable_channelz': 0,
        'grpc.use_local_subchannel_pool': 1,
        'grpc.initial_reconnect_backoff_ms': 200,
        'grpc.max_reconnect_backoff_ms': 5_000,
      });
      open = {
        to,
        client: createClient(nodeAgentServiceDefinition, channel),
        close: () => closeChannel(channel),
      };
    }
    return open.client;
  }

  const options = () => {
    const secret = token();
    return {
      metadata: secret === '' ? Metadata() : Metadata({ authorization: `Bearer ${secret}` }),
      signal: AbortSignal.timeout(CALL_MS),
    };
  };
  return {
    heartbeat: async (heartbeat) => client().heartbeat(heartbeat, options()),
    getJob: async () => client().getJob({ nodeId }, options()),
    claimJob: async (jobId) => client().claimJob({ nodeId, jobId }, options()),
    updateStatus: async (update) => client().updateStatus(update, options()),
    close: () => open?.close(),
  };
}
