/**
 * The controller's bundle as a process of its own, to be killed and started again: it keeps its data directory and, from its
 * first start on, its ports, as one under systemd does.
 */
import type { ChildExit } from './child-process.js';
import { startChild, type Child } from './child-process.js';

export interface ControllerProcessOptions {
  /** The program, `controller.mjs`. */
  readonly program: string;
  readonly dataDirectory: string;
  /** Settings beside the data directory and the ports: `CONTROLLER_…`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Every line of its log. */
  readonly onLog?: (entry: Readonly<Record<string, unknown>>) => void;
  /** Everything that it writes is appended there, over all its processes. Default nowhere. */
  readonly logFile?: string;
  /** It has ended although nobody here asked it to. */
  readonly onUnexpectedEnd: (exit: ChildExit) => void;
}

export interface ControllerProcess {
  /** `http://127.0.0.1:PORT`; the same after every start. */
  readonly http: string;
  readonly dataDirectory: string;
  /** Number of the process that runs; 0 if none does. */
  readonly pid: number;
  /** Resolves when it listens. @throws Error with its last word if it ends before, or does not listen within 30 s */
  start(): Promise<void>;
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM. Resolves when it has ended, with how. */
  stop(): Promise<ChildExit>;
}

const START_DEADLINE_MS = 30_000;

/** Resolves when it listens for the first time; its log must not be quieter than `info`. @throws Error with its last word if it cannot start */
export async function startControllerProcess(options: ControllerProcessOptions): Promise<ControllerProcess> {
  let http = '';
  let ports = { http: '0', grpc: '0' };
  let child: Child | undefined;
  let asked = false;

  async function start(): Promise<void> {
    asked = false;
    let listens: () => void = () => undefined;
    const listening = new Promise<void>((resolve) => (listens = resolve));
    const started = startChild({
      args: [options.program],
      env: {
        ...options.env,
        CONTROLLER_DATA_DIR: options.dataDirectory,
        CONTROLLER_HTTP_PORT: ports.http,
        CONTROLLER_GRPC_PORT: ports.grpc,
      },
      ...(options.logFile === undefined ? {} : { logFile: options.logFile }),
      onLog(entry) {
        options.onLog?.(entry);
        if (entry['event'] !== 'listening') return;
        http = String(entry['http']);
        ports = { http: new URL(http).port, grpc: String(entry['grpc']).split(':').at(-1) ?? '0' };
        listens();
      },
    });
    child = started;
    let isUp = false;
    const ended = started.exited.then((exit) => {
      if (child === started) child = undefined;
      if (isUp && !asked) options.onUnexpectedEnd(exit);
      return exit;
    });
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        asked = true;
        started.signal('SIGKILL');
        reject(new Error(`the controller did not listen within ${START_DEADLINE_MS / 1_000} s`));
      }, START_DEADLINE_MS);
    });
    await Promise.race([
      listening,
      tooLate,
      ended.then((exit) => {
        if (!asked) throw new Error(`the controller ended at once: ${exit.lastError || describeExit(exit)}`);
      }),
    ]).finally(() => clearTimeout(timer));
    isUp = true;
  }

  async function end(signal: NodeJS.Signals): Promise<ChildExit> {
    asked = true;
    const ending = child;
    if (ending === undefined) return { code: 0, signal: null, lastError: '' };
    ending.signal(signal);
    return ending.exited;
  }

  await start();
  return {
    get http() {
      return http;
    },
    get pid() {
      return child?.pid ?? 0;
    },
    dataDirectory: options.dataDirectory,
    start,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  };
}

const describeExit = (exit: ChildExit): string => exit.signal ?? `exit code ${exit.code ?? 'unknown'}`;
