/** Who may open a stream, and the session tokens that it gets while it lives. */
import { ServerError, Status, type CallContext } from 'nice-grpc';
import type { Clock } from '@mig/common/clock';
import type { ConnectRequest, MigletMessage } from '@mig/common/domain/messages';
import { MigError, errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { Audit } from '../auth/audit-log.js';
import { TooManyAttemptsError } from '../auth/limits/attempts.js';
import { TooMuchError, type Limits } from '../auth/limits/limits.js';
import { UnauthenticatedError } from '../auth/errors.js';
import { bearerOf } from '../auth/operator-auth.js';
import { peerAddress } from '../auth/peer-address.js';
import type { Admitted, VmGate } from '../auth/vm-gate.js';
import type { Door } from '../door/door.js';
import type { VmLink } from '../fleet/links.js';
import { sizeOf } from './measured.js';
import { TooMuchStatus } from './too-much-status.js';

export interface StreamAdmission {
  /**
   * Counts a message of the VM. Undefined = read on; otherwise read on when it resolves.
   * @throws ServerError if it sends more than it may
   */
  count(vmId: string, message: MigletMessage): Promise<void> | undefined;
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
    readonly door: Pick<Door, 'vouch'>;
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
        const waitMs = limits.message(
          vmId,
          sizeOf(message),
          message.kind === 'heartbeat' ? 'heartbeat' : undefined,
        );
        return waitMs === 0 ? undefined : new Promise((resolve) => void clock.setTimer(resolve, waitMs));
      } catch (error) {
        if (!(error instanceof TooMuchError)) throw error;
        throw new TooMuchStatus(error);
      }
    },

    async admit({ vmId, poolId, bootId }, { metadata, peer, trailer }) {
      const bearer = bearerOf(metadata.get('authorization'));
      try {
        const admitted = await gate.admitStream({ vmId, poolId, bootId, bearer, address: peer });
        limits.connect(vmId);
        deps.door.vouch(peer, vmId);
        return admitted;
      } catch (error) {
        if (!(error instanceof MigError)) throw error;
        const status = STATUS[error.code] ?? Status.PERMISSION_DENIED;
        audit.record({
          actor: 'anonymous',
          action: 'access',
          target: vmId,
          from: peerAddress(peer),
          outcome: 'refused',
          detail: {
            route: 'StreamCommands',
            status: Status[status],
            reason: error instanceof UnauthenticatedError ? (error.reason ?? '') : error.message,
          },
        });
        if (error instanceof TooManyAttemptsError || error instanceof TooMuchError)
          trailer.set('retry-after', String(Math.ceil(error.retryAfterMs / 1_000)));
        throw error instanceof TooMuchError
          ? new TooMuchStatus(error)
          : new ServerError(status, error.message);
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

const STATUS: Readonly<Record<string, Status>> = {
  unauthenticated: Status.UNAUTHENTICATED,
  forbidden: Status.PERMISSION_DENIED,
  'vm-claimed': Status.ALREADY_EXISTS,
  'join-unavailable': Status.UNAVAILABLE,
  'too-many-attempts': Status.RESOURCE_EXHAUSTED,
  'too-much': Status.RESOURCE_EXHAUSTED,
  'pool-full': Status.RESOURCE_EXHAUSTED,
};
