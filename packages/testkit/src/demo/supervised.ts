/** A process that is started again when it dies, as an init system would, until it ends by itself or is told to. */
import { startChild, type Child, type ChildExit, type ChildOptions } from '../system/child-process.js';

export interface Supervised {
  readonly name: string;
  readonly running: boolean;
  signal(name: NodeJS.Signals): void;
  /** Resolves when it has ended and is not started again. */
  readonly ended: Promise<ChildExit>;
  /** From here on it is not started again. */
  release(): void;
}

export interface SupervisedOptions {
  readonly name: string;
  /** Asked before every start: what has become known meanwhile may change it. */
  readonly child: () => ChildOptions;
  /** Is this end one after which it is started again? */
  readonly restartAfter: (exit: ChildExit) => boolean;
  readonly onStart: (pid: number) => void;
  readonly onRestart: (exit: ChildExit) => void;
  readonly restartDelayMs: number;
}

export function supervise(options: SupervisedOptions): Supervised {
  let child: Child | undefined;
  let released = false;
  let cancelWait: (() => void) | undefined;

  async function run(): Promise<ChildExit> {
    for (;;) {
      child = startChild(options.child());
      options.onStart(child.pid);
      const exit = await child.exited;
      child = undefined;
      if (released || !options.restartAfter(exit)) return exit;
      options.onRestart(exit);
      await new Promise<void>((resolve) => {
        cancelWait = resolve;
        setTimeout(resolve, options.restartDelayMs);
      });
      if (released) return exit;
    }
  }

  const ended = run();
  return {
    name: options.name,
    get running() {
      return child !== undefined;
    },
    signal: (name) => child?.signal(name),
    ended,
    release() {
      released = true;
      cancelWait?.();
    },
  };
}
