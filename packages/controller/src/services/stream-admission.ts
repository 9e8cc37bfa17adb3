/** Who may open a stream, and the session tokens that it gets while it lives. */
import { ServerError, Status, type CallContext } from 'nice-grpc';
import type { Clock } from '@mig/common/clock';
import type { ConnectRequest, MigletMessage } from '@mig/common/domain/messages';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { Audit } from '../auth/audit-log.js';
import { TooMuchError, type Limits } from '../auth/limits/limits.js';
import { bearerOf } from '../auth/operator-auth.js';
import type { Admitted, VmGate } from '../auth/vm-gate.js';
import type { VmLink } from '../fleet/links.js';
import { sizeOf } from './measured.js';
import { toRefusal } from './refusal.js';

export interface StreamAdmission {
  /** Counts a message of the VM. @throws ServerError if it sends more than it may */
  count(vmId: string, message: MigletMessage): void;
  /** @throws ServerError if it may not */
  admit(request: ConnectRequest, context: CallContext): Promise<Admitted>;
  /**
   * Gives the VM its session, if it joined by opening the stream, and the next token of it each time half of the life of the
   * one before is over. @returns ends that
   */
  keepSession(link: VmLink, admitted: Admitted): () => void;
}

export function createStreamAdmission(
  deps: {
    readonly gate: VmGate;
    readonly limits: Limits;
    readonly audit: Audit;
    readonly clock: Clock;
    readonly logger: Logger;
  },
  options: { readonly sessionLifetimeMs: number },
): StreamAdmission {
  const { gate, limits, audit, clock, logger } = deps;
  return {
    count(vmId, message) {
      try {
        limits.message(vmId, sizeOf(message));
      } catch (error) {
        if (!(error instanceof TooMuchError)) throw error;
        throw new ServerError(Status.RESOURCE_EXHAUSTED, error.message);
      }
    },

    async admit({ vmId, poolId, bootId }, context) {
      const bearer = bearerOf(context.metadata.get('authorization'));
      try {
        const admitted = await gate.admitStream({ vmId, poolId, bootId, bearer, address: context.peer });
        limits.connect(vmId);
        return admitted;
      } catch (error) {
        throw toRefusal(error, audit, { vmId, route: 'StreamCommands', context });
      }
    },

    keepSession(link, admitted) {
      const claims = admitted.claims ?? admitted.session?.claims;
      if (claims === undefined || link.legacy) return () => undefined;
      if (admitted.session !== undefined) {
        const { token, expiresInMs } = admitted.session;
        link.send({ kind: 'sessionToken', token, expiresInMs });
      }
      let ended = false;
      let timer: unknown;
      const next = (): void => {
        timer = clock.setTimer(() => void renew(), options.sessionLifetimeMs / 2);
      };
      const renew = async (): Promise<void> => {
        try {
          const { token, expiresInMs } = await gate.renew(claims);
          if (!ended && link.send({ kind: 'sessionToken', token, expiresInMs })) next();
        } catch (error) {
          logger.error({ vmId: link.vmId, reason: errorMessage(error) }, 'a session could not be renewed');
          if (!ended) next();
        }
      };
      // The token that it came with may be near its end.
      if (admitted.session === undefined) void renew();
      else next();
      return () => {
        ended = true;
        clock.clearTimer(timer);
      };
    },
  };
}
