/**
 * `talk.NodeAgentService` with messages of the domain: what nice-grpc serves and calls.
 *
 * Bytes that cannot be decoded become an empty message, whose empty node id is refused with INVALID_ARGUMENT; the library would
 * answer INTERNAL.
 */
import {
  ClaimJobRequest,
  ClaimJobResponse,
  GetJobRequest,
  GetJobResponse,
  HeartbeatRequest,
  HeartbeatResponse,
  UpdateStatusRequest,
  UpdateStatusResponse,
} from '../gen/agent.js';
import type {
  HeartbeatAnswer,
  JobOffer,
  NodeAndJob,
  NodeAnswer,
  NodeHeartbeat,
  StatusUpdate,
} from '../domain/node-messages.js';

export const NODE_AGENT_SERVICE_NAME = 'talk.NodeAgentService';

interface Codec<Wire> {
  encode(message: Wire): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Wire;
  fromPartial(message: object): Wire;
}

function codec<Domain extends object>(wire: Codec<Domain>) {
  return {
    to: (message: Domain): Uint8Array => wire.encode(wire.fromPartial(message)).finish(),
    from(bytes: Uint8Array): Domain {
      try {
        return wire.decode(bytes);
      } catch {
        return wire.fromPartial({});
      }
    },
  };
}

const unary = <Request extends object, Response extends object>(
  name: string,
  request: Codec<Request>,
  response: Codec<Response>,
) => {
  const asked = codec(request);
  const answered = codec(response);
  return {
    path: `/${NODE_AGENT_SERVICE_NAME}/${name}`,
    requestStream: false as const,
    responseStream: false as const,
    requestSerialize: asked.to,
    requestDeserialize: asked.from,
    responseSerialize: answered.to,
    responseDeserialize: answered.from,
    options: {},
  };
};

/** The fields of the domain are those of the wire; only the lists and maps are read-only there. */
const as = <Domain>(wire: unknown): Codec<Domain> => wire as Codec<Domain>;

export const nodeAgentServiceDefinition = {
  heartbeat: unary('Heartbeat', as<NodeHeartbeat>(HeartbeatRequest), as<HeartbeatAnswer>(HeartbeatResponse)),
  getJob: unary('GetJob', as<{ readonly nodeId: string }>(GetJobRequest), as<JobOffer>(GetJobResponse)),
  claimJob: unary('ClaimJob', as<NodeAndJob>(ClaimJobRequest), as<NodeAnswer>(ClaimJobResponse)),
  updateStatus: unary(
    'UpdateStatus',
    as<StatusUpdate>(UpdateStatusRequest),
    as<NodeAnswer>(UpdateStatusResponse),
  ),
} as const;
