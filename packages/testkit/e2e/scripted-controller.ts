/**
 * A controller for one MIGlet, in the hands of a test: it speaks the whole contract over real sockets, keeps what it is told
 * in memory, sends what is not finished again on every new stream, and writes down what it heard in the order it heard it.
 */
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import type { CommandAck, Parameters } from '@mig/common/domain/command';
import type { ConnectAck, ControllerMessage, MigletMessage } from '@mig/common/domain/messages';
import type { VmReport } from '@mig/common/domain/vm';
import { commandServiceDefinition } from '@mig/common/wire/command-service';

export interface HeardEvent {
  readonly bootId: string;
  readonly sequence: number;
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

export interface ScriptedCommand {
  readonly id: string;
  readonly type: string;
  readonly parameters: Parameters;
  attempts: number;
  /** The first result that came. */
  result: CommandAck | undefined;
}

/** What came, in its order. */
export type Entry =
  { readonly kind: 'event'; readonly event: HeardEvent } | { readonly kind: 'result'; readonly id: string };

export interface ScriptedController {
  readonly http: string;
  readonly grpc: string;
  readonly commands: readonly ScriptedCommand[];
  readonly timeline: readonly Entry[];
  /** Heartbeats of all streams, with what they say of the next. */
  readonly heartbeats: readonly { readonly report: VmReport; readonly intervalMs: number }[];
  /** How many streams were opened, and when (milliseconds, monotonic). */
  readonly streamsAt: readonly number[];
  /** Is a stream open now? */
  readonly connected: boolean;
  /** Queues a command; it goes out at once, or on the next stream. @returns its id */
  submit(type: string, parameters?: Parameters): string;
  /** Sends a message as it is. */
  tell(message: ControllerMessage): void;
  /** A VM that awaits its registration gets one, as from a controller. Default true. */
  registers: boolean;
  /** What the acceptance of the next streams says beside the usual. */
  ack: Partial<ConnectAck>;
  /** Refuses every connection, and cuts those that are open, until it is called with false. */
  goAway(away: boolean): void;
  close(): Promise<void>;
}

type Stream = ServerDuplexStream<MigletMessage, ControllerMessage>;

export async function startScriptedController(): Promise<ScriptedController> {
  const commands: ScriptedCommand[] = [];
  const timeline: Entry[] = [];
  const heartbeats: { report: VmReport; intervalMs: number }[] = [];
  const streamsAt: number[] = [];
  const stored = new Map<string, number>();
  let stream: Stream | undefined;
  let away = false;
  let count = 0;

  /** False: one before it must be stored first. */
  function store(event: HeardEvent, previousSequence: number): boolean {
    const last = stored.get(event.bootId) ?? 0;
    if (event.sequence <= last) return true;
    if (previousSequence > last) return false;
    stored.set(event.bootId, event.sequence);
    timeline.push({ kind: 'event', event });
    return true;
  }

  function send(command: ScriptedCommand): void {
    if (stream === undefined) return;
    command.attempts += 1;
    stream.write({
      kind: 'command',
      command: {
        id: command.id,
        type: command.type,
        parameters: command.parameters,
        createdAt: 0,
        startWithinMs: 600_000,
        attempt: command.attempts,
      },
    });
  }

  function submit(type: string, parameters: Parameters = {}): string {
    count += 1;
    const command: ScriptedCommand = {
      id: `${type}-${count}`,
      type,
      parameters,
      attempts: 0,
      result: undefined,
    };
    commands.push(command);
    send(command);
    return command.id;
  }

  function register(state: string): void {
    const waits = state === 'registering.awaitingCommand' || state === 'registering.connecting';
    if (!controller.registers || !waits) return;
    if (commands.some(({ type, result }) => type === 'register_runner' && result === undefined)) return;
    const token = `token-${count + 1}`;
    submit('register_runner', { registration_token: token, runner_url: 'https://github.com/acme' });
  }

  function hear(from: Stream, message: MigletMessage): void {
    if (from !== stream && message.kind !== 'connect') return;
    switch (message.kind) {
      case 'connect': {
        const { bootId, state } = message.request;
        stream?.end(); // I11
        stream = from;
        streamsAt.push(performance.now());
        from.write({
          kind: 'connectAck',
          ack: {
            accepted: true,
            message: '',
            serverVersion: '1',
            sessionId: `session-${streamsAt.length}`,
            lastEventSequence: stored.get(bootId) ?? 0,
            heartbeatIntervalMs: 0,
            announceAgain: !stored.has(bootId),
            reconnectWindowMs: 0,
            ...controller.ack,
          },
        });
        for (const command of commands) if (command.result === undefined) send(command);
        register(state);
        return;
      }
      case 'event': {
        const { bootId, sequence, type, data, previousSequence } = message.event;
        if (store({ bootId, sequence, type, data }, previousSequence ?? 0))
          from.write({ kind: 'eventAck', bootId, sequence });
        return;
      }
      case 'ack': {
        if (message.ack.phase === 'received') return;
        const { commandId } = message.ack;
        const command = commands.find(({ id }) => id === commandId);
        if (command !== undefined && command.result === undefined) {
          command.result = message.ack;
          timeline.push({ kind: 'result', id: commandId });
        }
        from.write({ kind: 'resultAck', commandId });
        return;
      }
      case 'heartbeat': {
        const { report, intervalMs } = message.heartbeat;
        heartbeats.push({ report, intervalMs });
        register(report.state);
        return;
      }
      case 'deregister':
        from.write({
          kind: 'deregisterResult',
          result: { requestId: message.requestId, outcome: 'deleted', message: '' },
        });
        return;
      case 'error':
      case 'unknown':
      case 'malformed':
    }
  }

  const grpc = new Server();
  const { requestDeserialize, responseSerialize, ...method } = commandServiceDefinition.streamCommands;
  grpc.addService(
    {
      streamCommands: {
        ...method,
        requestSerialize: (message: MigletMessage) => Buffer.from(method.requestSerialize(message)),
        requestDeserialize: (bytes: Buffer) => requestDeserialize(bytes),
        responseSerialize: (message: ControllerMessage) => Buffer.from(responseSerialize(message)),
        responseDeserialize: (bytes: Buffer) => method.responseDeserialize(bytes),
      },
    },
    {
      streamCommands(opened: Stream) {
        if (away) {
          opened.destroy(new Error('away'));
          return;
        }
        opened.on('data', (message: MigletMessage) => hear(opened, message));
        const ended = (): void => {
          if (stream === opened) stream = undefined;
        };
        opened.on('end', () => {
          ended();
          opened.end();
        });
        opened.on('close', ended);
        opened.on('cancelled', ended);
        opened.on('error', ended);
      },
    },
  );
  const grpcPort = await new Promise<number>((resolve, reject) => {
    grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
  const http: HttpServer = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const event = JSON.parse(body) as HeardEvent & { boot_id: string; previous_sequence: number };
      const { boot_id: bootId, sequence, type, data } = event;
      const taken = !away && store({ bootId, sequence, type, data }, event.previous_sequence);
      response.writeHead(taken ? 200 : 503, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ status: taken ? 'acknowledged' : 'refused' }));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));

  const controller: ScriptedController = {
    http: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    grpc: `127.0.0.1:${grpcPort}`,
    commands,
    timeline,
    heartbeats,
    streamsAt,
    get connected() {
      return stream !== undefined;
    },
    submit,
    tell: (message) => void stream?.write(message),
    registers: true,
    ack: {},
    goAway(now) {
      away = now;
      if (now) stream?.destroy(new Error('away'));
    },
    async close() {
      grpc.forceShutdown();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  return controller;
}
