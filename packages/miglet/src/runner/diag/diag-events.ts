/** When the end of the runner's logs is told: after it failed, and before the VM's last event. */

export type EmitEvent = (type: string, data: Readonly<Record<string, string>>) => void;

/** Exit codes that say that something went wrong (github-facts 1.4); those of an update, and of a job's result, do not. */
const FAILURES = new Set(['1', '2', '5', '7']);

/** @returns emits an event, with an event `runner_diag` after it if it tells of a failure, or before it if it is the last */
export function withDiag(emit: EmitEvent, read: () => Record<string, string> | undefined): EmitEvent {
  const emitDiag = (): void => {
    const data = read();
    if (data !== undefined) emit('runner_diag', data);
  };
  return (type, data) => {
    if (type === 'vm_shutting_down') emitDiag();
    emit(type, data);
    if (isFailure(type, data)) emitDiag();
  };
}

const isFailure = (type: string, data: Readonly<Record<string, string>>): boolean =>
  type === 'runner_crashed' ||
  type === 'runner_hung' ||
  (type === 'runner_exited' && (FAILURES.has(data['exit_code'] ?? '') || data['outcome'] === 'job_orphaned'));
