/** The simulated VMs of the load: each with its own connections, announced over HTTP, then on its stream. */
import { headerBlock } from '../wire/header-block.js';
import { readAnswer, type Answer } from '../wire/answer.js';
import { ackFrames, connectFrame, vmName, type VmName } from '../wire/vm-messages.js';
import { VERSION } from '@mig/common/version';
import { COMMAND_SERVICE_NAME } from '@mig/common/wire/command-service';
import { postOnce } from './post-once.js';
import type { Target } from './protocol.js';
import { openVmStream, type VmStream } from './vm-stream.js';

export interface SimulatedVm {
  readonly name: VmName;
  /** What the announcement was answered with; undefined where nobody is asked. */
  sessionToken: string | undefined;
  stream: VmStream | undefined;
}

export interface Fleet {
  readonly vms: readonly SimulatedVm[];
  /** Resolves when every VM has announced itself. */
  announce(): Promise<void>;
  /** Resolves when every VM has its stream and was welcomed on it, with how many were told to announce themselves again. */
  connect(): Promise<number>;
  /** From now on the server is there. */
  moveTo(target: Target): void;
  /** Resolves when no VM has a stream; they are expected to end. */
  ends(): Promise<void>;
  /** Called for what a VM is told on its stream; commands are carried out already. */
  onAnswer: (vm: SimulatedVm, answer: Answer) => void;
  close(): void;
}

/** VMs that announce themselves or connect at a time: more would overflow the queue of a listening socket, 511 in Node. */
const AT_A_TIME = 256;
/** One VM is waited for this long. */
const PATIENCE_MS = 60_000;

export interface FleetOptions {
  readonly target: Target;
  readonly vms: number;
  /** Tells the boots of this fleet from those of others. */
  readonly boot: string;
  /** A stream has ended that was not expected to. */
  readonly onBroken: (error: Error) => void;
}

export function createFleet({ target: first, vms: count, boot, onBroken }: FleetOptions): Fleet {
  let target = first;
  let open = 0;
  /** Undefined while no stream may end. */
  let whenEnded: (() => void) | undefined;
  const vms: SimulatedVm[] = Array.from({ length: count }, (_, index) => ({
    name: vmName(index, boot),
    sessionToken: undefined,
    stream: undefined,
  }));

  function connectOne(vm: SimulatedVm): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`VM ${vm.name.vmId} was not welcomed within ${PATIENCE_MS / 1_000} s`)),
        PATIENCE_MS,
      );
      const { grpcHost, grpcPort, ca, dialect } = target;
      const block = headerBlock({
        scheme: ca === undefined ? 'http' : 'https',
        authority: `${grpcHost}:${grpcPort}`,
        path: `/${COMMAND_SERVICE_NAME}/StreamCommands`,
        token: vm.sessionToken,
      });
      const stream = openVmStream({
        host: grpcHost,
        port: grpcPort,
        ca,
        headerBlock: block,
        onMessage(bytes, start, end) {
          const answer = readAnswer(dialect, bytes, start, end);
          if (answer.kind === 'connected') {
            clearTimeout(timer);
            if (answer.accepted) resolve(answer.announceAgain);
            else reject(new Error(`VM ${vm.name.vmId} was not accepted`));
            return;
          }
          if (answer.kind === 'command') stream.send(ackFrames(answer.commandId), 2);
          if (answer.kind === 'session') vm.sessionToken = answer.token;
          fleet.onAnswer(vm, answer);
        },
        onEnd(reason) {
          clearTimeout(timer);
          vm.stream = undefined;
          open -= 1;
          const error = new Error(`the stream of VM ${vm.name.vmId} ended: ${reason}`);
          reject(error);
          if (whenEnded === undefined) onBroken(error);
          else if (open === 0) whenEnded();
        },
      });
      vm.stream = stream;
      open += 1;
      stream.send(connectFrame(vm.name), 1);
    });
  }

  const fleet: Fleet = {
    vms,

    async announce() {
      const { ca, joinToken: token } = target;
      const options = { endpoint: new URL(target.http), ca, token };
      await forEach(vms, async (vm) => {
        const { vmId, poolId, orgId, bootId } = vm.name;
        const answer = await postOnce(options, `/api/v1/vms/${vmId}/events`, {
          type: 'vm_started',
          vm_id: vmId,
          pool_id: poolId,
          org_id: orgId,
          boot_id: bootId,
          sequence: 1,
          timestamp: Math.floor(Date.now() / 1_000),
          data: { version: VERSION, miglet_state: 'booting', os: 'linux', architecture: 'x64' },
        });
        vm.sessionToken = typeof answer['session_token'] === 'string' ? answer['session_token'] : undefined;
      });
    },

    async connect() {
      whenEnded = undefined;
      let again = 0;
      await forEach(vms, async (vm) => {
        if (await connectOne(vm)) again += 1;
      });
      return again;
    },

    moveTo: (next) => void (target = next),

    ends: () =>
      new Promise((resolve) => {
        whenEnded = resolve;
        if (open === 0) resolve();
      }),

    onAnswer: () => undefined,

    close() {
      whenEnded = () => undefined;
      for (const vm of vms) vm.stream?.close();
    },
  };
  return fleet;
}

async function forEach<T>(items: readonly T[], task: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  async function lane(): Promise<void> {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await task(item);
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
}
