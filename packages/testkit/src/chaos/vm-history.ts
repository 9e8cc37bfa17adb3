/**
 * What a VM did, by its own log and its own journal, over all lives of its MIGlet: the outside witness of effects and events.
 *
 * The journal says what was taken, in which order; the log, which is written after, says when. A life that was killed in
 * between leaves the one without the other.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createLogTail, type LogLine } from './log-tail.js';

export interface LoggedEvent {
  readonly type: string;
  /** Name of the job that it is about; empty if it is about none. */
  readonly job: string;
  readonly at: number;
}

/** One process of the MIGlet. */
export interface VmLife {
  readonly number: number;
  /** Empty if it ended before it said so. */
  bootId: string;
  readonly events: LoggedEvent[];
  /** It asked in vain to have its runner deleted, or stopped it by force before it asked, and may have died before the answer. */
  askedInVain: boolean;
  /** It ended in the middle of a registration, which goes on at GitHub without it. */
  registers: boolean;
}

export interface VmHistory {
  readonly vmId: string;
  readonly lives: VmLife[];
  /** Ids of the commands that were taken, in this order, as often as they were. */
  readonly taken: string[];
  /** When the log says that a command was taken, or has ended; milliseconds since 1970. */
  readonly takenAt: Map<string, number[]>;
  readonly endedAt: Map<string, number>;
  /** Lines of the log that should not be there: errors, and what is no log line. */
  readonly troubles: { readonly at: number; readonly text: string }[];
}

export interface VmHistoryReader {
  /** As far as it is written now. The same object each time. */
  read(): VmHistory;
}

export function createVmHistoryReader(
  vmId: string,
  logFile: string,
  stateDirectory: string,
): VmHistoryReader {
  const tail = createLogTail(logFile);
  const history: VmHistory = {
    vmId,
    lives: [],
    taken: [],
    takenAt: new Map(),
    endedAt: new Map(),
    troubles: [],
  };
  let journaled: readonly string[] = [];

  function readJournal(): void {
    const ids = takenIds(path.join(stateDirectory, 'commands.jsonl'));
    const isLonger = journaled.every((id, index) => id === ids[index]);
    // Otherwise it was written anew, without the oldest that are reported, and each of the rest once.
    const last = journaled.at(-1);
    const from = isLonger ? journaled.length : last === undefined ? 0 : ids.indexOf(last) + 1;
    history.taken.push(...ids.slice(from));
    journaled = ids;
  }

  return {
    read() {
      for (const line of tail.read()) takeLine(history, line);
      readJournal();
      return history;
    },
  };
}

function takenIds(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return []; // it has not begun
  }
  return text.split('\n').flatMap((line) => {
    const [, id] = /^\{"kind":"taken","id":"([^"]+)"/.exec(line) ?? [];
    return id === undefined ? [] : [id];
  });
}

const LOUD = new Set(['error', 'fatal']);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function takeLine(history: VmHistory, line: LogLine): void {
  const life = history.lives.at(-1);
  if (line.kind === 'text') {
    history.troubles.push({ at: life?.events.at(-1)?.at ?? 0, text: line.text });
    return;
  }
  const { entry } = line;
  if (typeof entry['life'] === 'number') {
    history.lives.push({
      number: entry['life'],
      bootId: '',
      events: [],
      askedInVain: false,
      registers: false,
    });
    return;
  }
  const at = Date.parse(text(entry['time']));
  const message = text(entry['msg']);
  const event = text(entry['event']);
  const commandId = text(entry['commandId']);
  if (LOUD.has(text(entry['level']))) history.troubles.push({ at, text: JSON.stringify(entry) });
  if (event === 'starting' && life !== undefined) life.bootId = text(entry['bootId']);
  else if (message === `event ${event}` && event !== '') {
    life?.events.push({ type: event, job: event.startsWith('job_') ? text(entry['name']) : '', at });
    if (life !== undefined && event === 'runner_registered') life.registers = false;
  } else if (event === 'state' && life !== undefined)
    life.askedInVain ||= isLeaving(text(entry['from']), text(entry['to']));
  else if (message === 'a command was taken') {
    history.takenAt.set(commandId, [...(history.takenAt.get(commandId) ?? []), at]);
    if (life !== undefined && entry['type'] === 'register_runner') life.registers = true;
  } else if (message === 'a command has ended') history.endedAt.set(commandId, at);
}

const isLeaving = (from: string, to: string): boolean =>
  to.endsWith('.waitingToAsk') || (from.endsWith('.stoppingRunner') && to.endsWith('.deregistering'));
