/** What a simulated VM says, encoded ahead: only what differs from one heartbeat to the next is written when it is sent. */
import type { VmIdentity } from '@mig/common/domain/vm';
import { encodeMigletMessage } from '@mig/common/wire/miglet-message';
import { VERSION } from '@mig/common/version';
import { messageFrame } from './http2-frames.js';

/** One VM of the load, in one boot. */
export interface VmName extends VmIdentity {
  readonly bootId: string;
}

/** Digits of the number in a name: the messages of all VMs are of one length. */
const DIGITS = 6;
const LABELS = ['self-hosted', 'linux', 'x64'];
/** A pool takes so many VMs by default, and more. */
const VMS_PER_POOL = 5_000;
const GIB = 2 ** 30;
/** A load that stands where the one of each heartbeat is written; no other eight bytes of a heartbeat are the same. */
const MARK = 12.345678901;

export function vmName(index: number, boot: string): VmName {
  const number = String(index).padStart(DIGITS, '0');
  return {
    vmId: `bench-${number}`,
    poolId: `bench-${Math.floor(index / VMS_PER_POOL)}`,
    orgId: 'acme',
    bootId: `${boot}-${number}`,
  };
}

/** The runner of the VM is registered and waits for a job: how that comes about is GitHub's pace, not the controller's. */
export const connectFrame = (vm: VmName): Buffer =>
  messageFrame(
    encodeMigletMessage({
      kind: 'connect',
      request: { ...vm, version: VERSION, state: 'ready.idle', labels: LABELS },
    }),
  );

/** Taken, carried out: what a MIGlet of ours says of a command, both at once. */
export const ackFrames = (commandId: string): Buffer =>
  Buffer.concat(
    (['received', 'completed'] as const).map((phase) =>
      messageFrame(
        encodeMigletMessage({
          kind: 'ack',
          ack: { commandId, phase, success: true, message: '', result: {} },
        }),
      ),
    ),
  );

/**
 * A question that is answered at once, in its turn: when the answer is there, everything that was sent before has been taken
 * in. A heartbeat itself is not answered.
 */
const questionFrame = messageFrame(
  encodeMigletMessage({ kind: 'deregister', requestId: 'bench', runnerName: 'no-such-runner' }),
);

export interface Heartbeats {
  /** So many, no two alike, in frames of their own; with a question behind the last if that is asked for. */
  batch(vm: VmName, count: number, options?: { readonly question: boolean }): Buffer;
}

/** @param intervalMs when each says that the next one comes */
export function createHeartbeats(intervalMs: number): Heartbeats {
  const frames = new Map<string, Buffer>();
  const at = Date.now();
  const encode = (vm: VmName): Buffer =>
    messageFrame(
      encodeMigletMessage({
        kind: 'heartbeat',
        heartbeat: {
          ...vm,
          at,
          intervalMs,
          report: {
            state: 'ready.idle',
            stateReason: '',
            health: {
              cpuUsagePercent: MARK,
              memoryUsagePercent: 41.5,
              diskUsagePercent: 17.25,
              memoryTotalBytes: 16 * GIB,
              memoryUsedBytes: 6 * GIB + 12_345,
              diskTotalBytes: 100 * GIB,
              diskUsedBytes: 17 * GIB + 54_321,
            },
            runner: { state: 'idle', configured: true, name: `mig-k3x9f2-${vm.vmId}`, labels: LABELS },
            currentJob: undefined,
          },
        },
      }),
    );
  const mark = Buffer.alloc(8);
  mark.writeDoubleLE(MARK);
  let load = 0;

  function frameOf(vm: VmName): Buffer {
    const known = frames.get(vm.vmId);
    if (known !== undefined) return known;
    const made = encode(vm);
    frames.set(vm.vmId, made);
    return made;
  }

  return {
    batch(vm, count, { question } = { question: false }) {
      const one = frameOf(vm);
      const loadAt = one.indexOf(mark);
      const bytes = Buffer.allocUnsafe(count * one.length + (question ? questionFrame.length : 0));
      for (let index = 0; index < count; index += 1) {
        one.copy(bytes, index * one.length);
        load = (load + 0.37) % 100;
        bytes.writeDoubleLE(load, index * one.length + loadAt);
      }
      if (question) questionFrame.copy(bytes, count * one.length);
      return bytes;
    },
  };
}
