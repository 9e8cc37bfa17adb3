/**
 * Records on their way into the log. What is not in it yet takes the newest content: of what comes to one file within a batch only
 * the last is made into text and written. What can wait waits a moment for what follows it.
 */
import type { Clock } from '@mig/common/clock';
import type { WriteAheadLog } from './write-ahead-log.js';

/** What can wait, and is followed by nothing, goes into the log after this. */
const LAZY_MS = 200;

export interface RecordOptions {
  /** When its file is to be as it says: `now` if no more will follow, so that there is nothing to wait for. */
  readonly place: 'now' | 'later';
  /** Nothing is lost if it never gets into the log: it may wait for the next one of its file. */
  readonly isLazy?: boolean | undefined;
}

export interface Recording {
  /** Resolves when this content, or a newer one of the file, is in the log. Rejects with the system's error. */
  add(file: string, content: () => string, options: RecordOptions): Promise<void>;
  has(file: string): boolean;
  /** Files that have something on its way. */
  readonly size: number;
  /** What waits of the file does not wait any longer: what is appended to the log from now on comes after it. */
  hurry(file: string): void;
  /** The same for all files whose path begins so. */
  hurryAll(prefix: string): void;
  /** Resolves when nothing is on its way. */
  idle(): Promise<void>;
}

interface Pending {
  content: () => string;
  place: 'now' | 'later';
  appended: boolean;
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export function createRecording(deps: {
  readonly log: Pick<WriteAheadLog, 'append'>;
  readonly clock: Clock;
  /** The name of a file in the log. */
  readonly nameOf: (file: string) => string;
  /** Called in the order of the log, before `add` resolves. */
  readonly onLogged: (file: string, content: string, place: 'now' | 'later') => void;
}): Recording {
  /** What can still take newer content. */
  const open = new Map<string, Pending>();
  const lazy = new Set<string>();
  /** How many of each file are on their way: one may be in the batch that is being written, and the next waits. */
  const counts = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  let timer: unknown;

  function begin(file: string, content: () => string, place: 'now' | 'later'): Pending {
    let settle!: Pick<Pending, 'resolve' | 'reject'>;
    const done = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
    const pending: Pending = { content, place, appended: false, done, ...settle };
    open.set(file, pending);
    counts.set(file, (counts.get(file) ?? 0) + 1);
    underWay.add(done);
    return pending;
  }

  function end(file: string, { done }: Pending): void {
    const count = (counts.get(file) ?? 0) - 1;
    if (count > 0) counts.set(file, count);
    else counts.delete(file);
    underWay.delete(done);
  }

  function append(file: string, pending: Pending): void {
    if (pending.appended) return;
    pending.appended = true;
    lazy.delete(file);
    let content = '';
    deps.log
      .append(
        () => {
          if (open.get(file) === pending) open.delete(file);
          content = pending.content();
          return { path: deps.nameOf(file), content };
        },
        () => deps.onLogged(file, content, pending.place),
      )
      .then(
        (applied) => {
          end(file, pending);
          applied();
          pending.resolve();
        },
        (error: unknown) => {
          if (open.get(file) === pending) open.delete(file);
          end(file, pending);
          pending.reject(error);
        },
      );
  }

  function hurry(file: string): void {
    const pending = lazy.has(file) ? open.get(file) : undefined;
    if (pending !== undefined) append(file, pending);
  }

  function hurryAll(prefix: string): void {
    for (const file of lazy) if (file.startsWith(prefix)) hurry(file);
  }

  return {
    add(file, content, { place, isLazy = false }) {
      const before = open.get(file);
      const pending = before ?? begin(file, content, place);
      pending.content = content;
      if (place === 'now') pending.place = 'now';
      if (!isLazy) append(file, pending);
      else if (!pending.appended) {
        lazy.add(file);
        timer ??= deps.clock.setTimer(() => {
          timer = undefined;
          hurryAll('');
        }, LAZY_MS);
      }
      return pending.done;
    },
    has: (file) => counts.has(file),
    get size() {
      return counts.size;
    },
    hurry,
    hurryAll,
    async idle() {
      while (underWay.size > 0) {
        hurryAll('');
        await Promise.allSettled(underWay);
      }
      deps.clock.clearTimer(timer);
      timer = undefined;
    },
  };
}
