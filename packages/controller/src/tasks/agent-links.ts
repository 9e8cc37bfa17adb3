/** The open streams of tasks: one per agent (I11). The gRPC service makes them. */
import type { AgentFeature, TaskRequest } from '@mig/common/domain/task-messages';

export interface AgentLink {
  readonly agentId: string;
  /** Of its credential, or as the fleet knows it; empty = neither says. */
  readonly poolId: string;
  readonly sessionId: string;
  /** What it speaks beside the original contract. */
  readonly features: ReadonlySet<AgentFeature>;
  /** False if the stream is closed: the message was not taken. */
  send(request: TaskRequest): boolean;
  close(reason: 'replaced' | 'released' | 'stopping'): void;
}

export interface AgentLinks {
  get(agentId: string): AgentLink | undefined;
  /** Enters a stream. @returns the older one of the same agent, which is to be ended */
  open(link: AgentLink): AgentLink | undefined;
  /** Takes a stream out. False if a newer one has its place already. */
  close(link: AgentLink): boolean;
  all(): AgentLink[];
}

export function createAgentLinks(): AgentLinks {
  const links = new Map<string, AgentLink>();
  return {
    get: (agentId) => links.get(agentId),
    open(link) {
      const older = links.get(link.agentId);
      links.set(link.agentId, link);
      return older;
    },
    close(link) {
      if (links.get(link.agentId) !== link) return false;
      return links.delete(link.agentId);
    },
    all: () => [...links.values()],
  };
}
