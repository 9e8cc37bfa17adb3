import type { CommandRecord } from '@mig/common/domain/command';

/**
 * Does the newer command make the older one pointless? Only one that has never been sent can be folded, by one of its own
 * type: the newest drain, shutdown and log level count; a change of settings, if the newer sets every key of the older.
 */
export function foldedBy(older: CommandRecord, newer: CommandRecord): boolean {
  if (older.sequence >= newer.sequence || older.type !== newer.type) return false;
  if (older.state !== 'queued' || older.attempts > 0) return false;
  switch (older.type) {
    case 'drain':
    case 'shutdown':
    case 'set_log_level':
    case 'register_runner':
      return true;
    case 'update_config':
      return Object.keys(older.parameters).every((key) => Object.hasOwn(newer.parameters, key));
  }
}
