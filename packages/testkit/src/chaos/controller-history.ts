/** What the controller says in its log, over all its lives. */
import { createLogTail } from './log-tail.js';

export interface ControllerHistory {
  readonly troubles: { readonly at: number; readonly text: string }[];
  /** VMs that connected in each second, by the beginning of its time. */
  readonly connects: Map<string, number>;
}

export function createControllerHistory(logFile: string): { read(): ControllerHistory } {
  const tail = createLogTail(logFile);
  const history: ControllerHistory = { troubles: [], connects: new Map() };
  /** Of the last line that says when it was written. */
  let lastAt = 0;
  return {
    read() {
      for (const line of tail.read()) {
        if (line.kind === 'text') {
          history.troubles.push({ at: lastAt, text: line.text });
          continue;
        }
        const { level, time, event, startedAt } = line.entry;
        const at = typeof time === 'string' ? time : '';
        lastAt = typeof startedAt === 'number' ? startedAt : Date.parse(at);
        if (level === 'error' || level === 'fatal')
          history.troubles.push({ at: Date.parse(at), text: JSON.stringify(line.entry) });
        if (event === 'connected') {
          const second = at.slice(0, 19);
          history.connects.set(second, (history.connects.get(second) ?? 0) + 1);
        }
      }
      return history;
    },
  };
}
