import type { Logger } from '@mig/common/logger';
import type { VmIdentity } from '@mig/common/domain/vm';
import type { SetAsideFile } from '../store/store.js';
import type { ControllerEvents } from './controller-events.js';

/**
 * Tells of files that could not be read at opening: each in the history of its VM, and in the log, where those of no VM are
 * told alone.
 *
 * @param vmOf undefined for a VM whose record is among what could not be read
 */
export function reportSetAside(
  files: readonly SetAsideFile[],
  {
    events,
    logger,
    vmOf,
  }: {
    readonly events: ControllerEvents;
    readonly logger: Logger;
    readonly vmOf: (vmId: string) => (VmIdentity & { readonly bootId: string }) | undefined;
  },
): void {
  for (const { vmId, file, setAsideAs, reason } of files) {
    logger.error(
      { event: 'file_set_aside', vmId, file, setAsideAs, reason },
      'a stored file could not be read: it was set aside, look at it',
    );
    if (vmId === undefined) continue;
    const vm = vmOf(vmId) ?? { vmId, poolId: '', orgId: '', bootId: '' };
    void events.enter(vm, 'file_set_aside', { file, set_aside_as: setAsideAs, reason });
  }
}
