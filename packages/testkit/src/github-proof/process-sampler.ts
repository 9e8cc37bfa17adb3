/** What anybody on the machine, or the owner of the processes, can see of them while they run: /proc/PID/cmdline and environ. */
import { readFileSync } from 'node:fs';
import { processesOf } from '../system/processes-of.js';

export interface ProcessSampler {
  /** Of every process that was seen, each once: who it was, and what could be read. */
  stop(): readonly SampledProcess[];
}

export interface SampledProcess {
  readonly who: string;
  readonly text: string;
}

export interface ProcessSamplerOptions {
  /** Processes with this in their arguments or environment are looked at. */
  readonly folder: string;
  /** Is a secret in the environment of this process in its place? It never is in its arguments. */
  readonly mayKnow: (process: {
    readonly commandLine: string;
    readonly parentsCommandLine: string;
  }) => boolean;
}

const EVERY_MS = 40;

export function sampleProcesses({ folder, mayKnow }: ProcessSamplerOptions): ProcessSampler {
  const seen = new Map<string, SampledProcess>();
  function look(): void {
    for (const pid of processesOf(folder)) {
      const commandLine = commandLineOf(pid);
      // In the middle of execve: who it will be cannot be told yet, and is seen the next time.
      if (commandLine === '') continue;
      const program = read(pid, 'comm').trim();
      const parentsCommandLine = commandLineOf(parentOf(pid));
      const environment = mayKnow({ commandLine, parentsCommandLine })
        ? ''
        : read(pid, 'environ').replaceAll('\0', '\n');
      const who = `process ${pid} (${program}: ${commandLine.slice(0, 300)})`;
      const text = `${commandLine}\n${environment}`;
      seen.set(`${who} ${text}`, { who, text });
    }
  }
  const timer = setInterval(look, EVERY_MS);
  look();
  return {
    stop() {
      clearInterval(timer);
      return [...seen.values()];
    },
  };
}

const commandLineOf = (pid: number): string => read(pid, 'cmdline').replaceAll('\0', ' ').trim();

/** By /proc (proc(5)); 0 if it has ended. */
function parentOf(pid: number): number {
  const stat = read(pid, 'stat');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it ended, or is not ours
  }
}
