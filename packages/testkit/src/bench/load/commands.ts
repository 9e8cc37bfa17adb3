/** Commands of an operator: one at a time to one VM, and one order to all. Each counts when its result is recorded. */
import type { Fleet } from './fleet.js';
import type { Operator } from './operator.js';
import type { LoadAnswers } from './protocol.js';
import type { UseMeter } from './use-meter.js';

/** A command, or an order to all VMs, is waited for this long. */
const PATIENCE_MS = 120_000;

/** From the request of an operator to the word that the result of the VM is recorded. */
export async function roundTrips(
  fleet: Fleet,
  operator: Operator,
  count: number,
): Promise<LoadAnswers['roundTrips']> {
  const timesMs: number[] = [];
  /** Results that were recorded before their submission was answered. */
  const early = new Map<string, number>();
  let waitsFor: { readonly commandId: string; readonly resolve: (atMs: number) => void } | undefined;
  fleet.onAnswer = (_, answer) => {
    if (answer.kind !== 'recorded') return;
    const atMs = performance.now();
    if (waitsFor?.commandId === answer.commandId) waitsFor.resolve(atMs);
    else early.set(answer.commandId, atMs);
  };
  for (let index = 0; index < count; index += 1) {
    const vm = fleet.vms[(index * 7) % fleet.vms.length];
    const startedMs = performance.now();
    const command = await operator.post(`/api/v1/vms/${vm?.name.vmId}/commands`, {
      type: 'set_log_level',
      parameters: { level: 'info' },
    });
    const commandId = String(command['id']);
    const recordedMs =
      early.get(commandId) ??
      (await withPatience(
        `the result of ${commandId}`,
        new Promise<number>((resolve) => (waitsFor = { commandId, resolve })),
      ));
    timesMs.push(recordedMs - startedMs);
    early.clear();
  }
  fleet.onAnswer = () => undefined;
  return { timesMs };
}

/** From the request of an operator until the results of all VMs are recorded. */
export async function drainAll(
  fleet: Fleet,
  operator: Operator,
  useMeter: UseMeter,
): Promise<LoadAnswers['drain']> {
  const done = new Set<string>();
  const all = new Promise<void>((resolve) => {
    fleet.onAnswer = (vm, answer) => {
      if (answer.kind !== 'recorded') return;
      done.add(vm.name.vmId);
      if (done.size === fleet.vms.length) resolve();
    };
  });
  const meter = useMeter();
  await operator.post('/api/v1/drains', { selector: { all: true }, reason: 'bench' });
  await withPatience(`the results of all ${fleet.vms.length} VMs`, all);
  const use = meter();
  fleet.onAnswer = () => undefined;
  return { allMs: use.elapsedMs, use };
}

async function withPatience<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what}: not there after ${PATIENCE_MS / 1_000} s`)),
      PATIENCE_MS,
    );
  });
  return Promise.race([promise, tooLate]).finally(() => clearTimeout(timer));
}
