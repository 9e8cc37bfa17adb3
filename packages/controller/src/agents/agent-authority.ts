/**
 * Who may speak as an agent or a node. Declared here so that identity can take its place: what serves the streams only asks.
 *
 * Today one token is shared by all agents; without one, agents are believed as long as gRPC listens on the loopback alone.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

export interface AgentAuthority {
  /** Undefined if the agent may speak for `agentId`; else why not. @param token as it was presented; empty if none was */
  refuse(agentId: string, token: string): string | undefined;
}

export interface SharedTokenOptions {
  /** Reads the token that all agents share; undefined if none is configured. Called for every connection. */
  readonly readToken: (() => string) | undefined;
  /** gRPC can be reached from this machine only. */
  readonly loopbackOnly: boolean;
}

export function createSharedTokenAuthority({ readToken, loopbackOnly }: SharedTokenOptions): AgentAuthority {
  return {
    refuse(_agentId, token) {
      if (readToken === undefined) {
        return loopbackOnly
          ? undefined
          : 'agents need a token on a port that others can reach: set tasks.agents.token_file of the controller';
      }
      let expected: string;
      try {
        expected = readToken();
      } catch {
        return 'the token of the agents cannot be read: look at tasks.agents.token_file of the controller';
      }
      return expected !== '' && isSame(token, expected)
        ? undefined
        : 'the token is not the one of the agents';
    },
  };
}

/** Takes the same time wherever the two differ. */
const isSame = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
