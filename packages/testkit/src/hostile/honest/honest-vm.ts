/**
 * A VM that does what it should, and nothing more: it holds a stream in its session, sends a heartbeat now and then, carries
 * out every command at once, and says when the controller has recorded the result. Smaller than a MIGlet, so that what is
 * measured is the controller.
 */
import { Client, Metadata, credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import type { ControllerMessage, MigletMessage } from '@mig/common/domain/messages';
import { commandServiceDefinition } from '@mig/common/wire/command-service';

export interface HonestVm {
  readonly vmId: string;
  /** Closes the stream, and opens another on a new connection. Resolves when the controller has welcomed it. */
  reconnect(): Promise<void>;
  close(): void;
}

export interface HonestVmOptions {
  readonly vmId: string;
  readonly poolId: string;
  /** HOST:PORT */
  readonly grpc: string;
  readonly session: string;
  readonly heartbeatMs: number;
  /** The result of this command is recorded. */
  readonly onRecorded: (commandId: string) => void;
  /** The stream ended, and nobody here asked for it; it is opened again. */
  readonly onCut: (reason: string) => void;
}

export const BOOT_ID = 'boot-1';
const RETRY_MS = 200;
const { path, requestSerialize, responseDeserialize } = commandServiceDefinition.streamCommands;

type Stream = ClientDuplexStream<MigletMessage, ControllerMessage>;

/** Resolves when the controller has welcomed it. */
export async function startHonestVm(options: HonestVmOptions): Promise<HonestVm> {
  const { vmId, poolId } = options;
  let token = options.session;
  let closed = false;
  let current: { readonly stream: Stream; readonly client: Client } | undefined;

  /** Resolves with the welcome; asks again until it has one. */
  async function open(): Promise<void> {
    while (!(await tryOpen())) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }

  function tryOpen(): Promise<boolean> {
    const client = new Client(options.grpc, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const stream: Stream = client.makeBidiStreamRequest(
      path,
      (message: MigletMessage) => Buffer.from(requestSerialize(message)),
      (bytes: Buffer) => responseDeserialize(bytes),
      metadata,
    );
    const mine = { stream, client };
    current = mine;
    let isWelcome = false;
    return new Promise((resolve) => {
      stream.on('error', () => undefined); // the status tells it
      stream.on('data', (message: ControllerMessage) => {
        if (message.kind === 'connectAck') {
          isWelcome = true;
          resolve(true);
        }
        take(stream, message);
      });
      stream.on('status', ({ code, details }) => {
        client.close();
        resolve(false);
        if (closed || current !== mine) return;
        options.onCut(`${code} ${details}`);
        if (isWelcome) void open();
      });
      stream.write({ kind: 'connect', request: hello() });
    });
  }

  const identity = { vmId, poolId, orgId: '', bootId: BOOT_ID };
  const hello = () => ({ ...identity, version: '0.1.0', state: 'ready.idle', labels: [] });

  function take(stream: Stream, message: ControllerMessage): void {
    if (message.kind === 'sessionToken') token = message.token;
    else if (message.kind === 'resultAck') options.onRecorded(message.commandId);
    else if (message.kind === 'command') {
      const answer = { commandId: message.command.id, success: true, message: 'done', result: {} };
      stream.write({ kind: 'ack', ack: { ...answer, phase: 'received' } });
      stream.write({ kind: 'ack', ack: { ...answer, phase: 'completed' } });
    }
  }

  function leave(): void {
    const left = current;
    current = undefined;
    left?.stream.cancel();
    left?.client.close();
  }

  const timer = setInterval(() => {
    current?.stream.write({
      kind: 'heartbeat',
      heartbeat: { ...identity, at: Date.now(), intervalMs: options.heartbeatMs, report: REPORT },
    });
  }, options.heartbeatMs);
  await open();
  return {
    vmId,
    async reconnect() {
      leave();
      await open();
    },
    close() {
      closed = true;
      clearInterval(timer);
      leave();
    },
  };
}

/** Of an idle VM. */
export const REPORT = {
  state: 'ready.idle',
  stateReason: '',
  health: {
    cpuUsagePercent: 1,
    memoryUsagePercent: 12.5,
    diskUsagePercent: 25,
    memoryTotalBytes: 16 * 2 ** 30,
    memoryUsedBytes: 2 * 2 ** 30,
    diskTotalBytes: 100 * 2 ** 30,
    diskUsedBytes: 25 * 2 ** 30,
  },
  runner: undefined,
  currentJob: undefined,
} as const;
