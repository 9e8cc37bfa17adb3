/**
 * Records on their way into the log. What is not in it yet takes the newest content: of what comes to one file within a batch only
 * the last is made into text and written.
 */
import type { FileContent } from './log-entry.js';
import type { WriteAheadLog } from './write-ahead-log.js';

/** When its file is to be as it says: `now` if no more will follow, so that there is nothing to wait for. */
export type Place = 'now' | 'later';

export interface Recording {
  /** Resolves when this content, or a newer one of the file, is in the log. Rejects with the system's error. */
  add(file: string, content: () => FileContent, place: Place): Promise<void>;
  has(file: string): boolean;
  /** Files that have something on its way. */
  readonly size: number;
  /** Resolves when nothing is on its way. */
  idle(): Promise<void>;
}

interface Pending {
  content: () => FileContent;
  place: Place;
  readonly done: Promise<void>;
}

export function createRecording(deps: {
  readonly log: Pick<WriteAheadLog, 'enter'>;
  /** The name of a file in the log. */
  readonly nameOf: (file: string) => string;
  /** Called in the order of the log, before `add` resolves. */
  readonly onLogged: (file: string, content: FileContent, place: Place) => void;
}): Recording {
  /** What can still take newer content. */
  const open = new Map<string, Pending>();
  /** How many of each file are on their way: one may be in the batch that is being written, and the next waits. */
  const counts = new Map<string, number>();
  let idlers: (() => void)[] = [];

  function end(file: string): void {
    const count = (counts.get(file) ?? 0) - 1;
    if (count > 0) counts.set(file, count);
    else counts.delete(file);
    if (counts.size > 0) return;
    const done = idlers;
    idlers = [];
    for (const resolve of done) resolve();
  }

  function begin(file: string, firstContent: () => FileContent, firstPlace: Place): Pending {
    counts.set(file, (counts.get(file) ?? 0) + 1);
    let made: FileContent = '';
    const done = new Promise<void>((resolve, reject) => {
      deps.log.enter({
        entry() {
          if (open.get(file) === pending) open.delete(file);
          made = pending.content();
          return { path: deps.nameOf(file), content: made };
        },
        onLogged(applied) {
          deps.onLogged(file, made, pending.place);
          end(file);
          applied();
          resolve();
        },
        onRefused(error) {
          if (open.get(file) === pending) open.delete(file);
          end(file);
          reject(error);
        },
      });
    });
    const pending: Pending = { content: firstContent, place: firstPlace, done };
    open.set(file, pending);
    return pending;
  }

  return {
    add(file, content, place) {
      const before = open.get(file);
      if (before === undefined) return begin(file, content, place).done;
      before.content = content;
      if (place === 'now') before.place = 'now';
      return before.done;
    },
    has: (file) => counts.has(file),
    get size() {
      return counts.size;
    },
    async idle() {
      while (counts.size > 0) await new Promise<void>((resolve) => idlers.push(resolve));
    },
  };
}
