/** The calls of a node. Each connects by itself if need be, and gives up after a time. */
import {
  ClientError,
  Metadata,
  Status,
  createChannel,
  createClient,
  type CallOptions,
  type Client,
} from 'nice-grpc';
import type {
  HeartbeatAnswer,
  JobOffer,
  NodeAnswer,
  NodeHeartbeat,
  StatusUpdate,
} from '@mig/common/domain/node-messages';
import { nodeAgentServiceDefinition } from '@mig/common/wire/node-agent-service';
import { noteRefusal, tokenOf, type ControllerAccess } from '../controller-link/access.js';
import { closeChannel } from '../controller-link/close-channel.js';
import { channelTarget } from '../controller-link/link-tls.js';

export interface NodeClient {
  heartbeat(heartbeat: NodeHeartbeat): Promise<HeartbeatAnswer>;
  getJob(): Promise<JobOffer>;
  claimJob(jobId: string): Promise<NodeAnswer>;
  updateStatus(update: StatusUpdate): Promise<NodeAnswer>;
  close(): void;
}

const CALL_MS = 15_000;

export function createNodeClient(nodeId: string, access: ControllerAccess): NodeClient {
  let open:
    | { readonly to: string; readonly client: Client<typeof nodeAgentServiceDefinition>; close(): void }
    | undefined;

  function client(): Client<typeof nodeAgentServiceDefinition> {
    const to = access.endpoint();
    if (open?.to !== to) {
      open?.close();
      const channel = createChannel(...channelTarget(to, access.tls()), {
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

  function drop(): void {
    open?.close();
    open = undefined;
  }

  async function call<T>(
    ask: (client: Client<typeof nodeAgentServiceDefinition>, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    const signal = AbortSignal.timeout(CALL_MS);
    const token = await tokenOf(access, signal);
    try {
      const metadata = token === undefined ? Metadata() : Metadata({ authorization: `Bearer ${token}` });
      return await ask(client(), { metadata, signal });
    } catch (error) {
      noteRefusal(access, error, token);
      // Renewed certificates are read when the next connection is made.
      if (error instanceof ClientError && error.code === Status.UNAVAILABLE) drop();
      throw error;
    }
  }

  return {
    heartbeat: (heartbeat) => call((to, options) => to.heartbeat(heartbeat, options)),
    getJob: () => call((to, options) => to.getJob({ nodeId }, options)),
    claimJob: (jobId) => call((to, options) => to.claimJob({ nodeId, jobId }, options)),
    updateStatus: (update) => call((to, options) => to.updateStatus(update, options)),
    close: drop,
  };
}
