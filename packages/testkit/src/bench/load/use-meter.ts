/** What the server and the load use of their cores over a time. */
import { cpuMs } from '../processes/proc.js';
import type { Use } from './protocol.js';

/** Starts to measure; what it returns ends it. */
export type UseMeter = () => () => Use;

export const createUseMeter =
  (serverPid: number): UseMeter =>
  () => {
    const startedMs = performance.now();
    const server = cpuMs(serverPid) ?? 0;
    const load = cpuMs(process.pid) ?? 0;
    return () => ({
      elapsedMs: performance.now() - startedMs,
      serverCpuMs: (cpuMs(serverPid) ?? 0) - server,
      loadCpuMs: (cpuMs(process.pid) ?? 0) - load,
    });
  };
