/**
 * The open streams: one per VM (invariant I11). What the domain needs of a stream is this port; the gRPC service makes it.
 */
import type { ControllerMessage } from '@mig/common/domain/messages';

/** Why a stream was ended by the controller. The service turns it into a gRPC status. */
export type CloseReason =
  | { readonly kind: 'replaced'; readonly message: string }
  | { readonly kind: 'slowReader'; readonly message: string }
  /** The VM is lost: nothing was heard on the stream for its TTL. */
  | { readonly kind: 'silent'; readonly message: string }
  /** An operator has ended the boot's session. */
  | { readonly kind: 'released'; readonly message: string }
  | { readonly kind: 'stopping'; readonly message: string };

export interface VmLink {
  readonly vmId: string;
  readonly bootId: string;
  readonly sessionId: string;
  /** The peer speaks the original contract only. */
  readonly legacy: boolean;
  readonly openedAt: number;
  /** False if the stream is closed: the message was not taken. */
  send(message: ControllerMessage): boolean;
  /** At once, but for `stopping`, where what waits to be sent goes out before. */
  close(reason: CloseReason): void;
}

export interface Links {
  get(vmId: string): VmLink | undefined;
  /** Those that are open now. */
  all(): VmLink[];
  /** Enters a stream; the older one of the same VM is ended with a reason. */
  open(link: VmLink): void;
  /** Takes a stream out. False if a newer one has its place already. */
  close(link: VmLink): boolean;
  closeAll(reason: CloseReason): void;
  readonly count: number;
  /** Streams opened since the start. */
  readonly totalCount: number;
}

export function createLinks(): Links {
  const open = new Map<string, VmLink>();
  let totalCount = 0;
  return {
    get: (vmId) => open.get(vmId),
    all: () => [...open.values()],
    open(link) {
      const older = open.get(link.vmId);
      open.set(link.vmId, link);
      totalCount += 1;
      older?.close({
        kind: 'replaced',
        message: `replaced by a newer stream of VM ${link.vmId} (${link.sessionId})`,
      }); // I11
    },
    close(link) {
      if (open.get(link.vmId) !== link) return false;
      open.delete(link.vmId);
      return true;
    },
    closeAll(reason) {
      for (const link of [...open.values()]) link.close(reason);
    },
    get count() {
      return open.size;
    },
    get totalCount() {
      return totalCount;
    },
  };
}
