/** The load, from the side of the harness. */
import { fileURLToPath } from 'node:url';
import type { Asked, LoadAnswers, LoadReply, LoadRequest } from '../load/protocol.js';
import { startWorker } from './worker-process.js';

export interface LoadProcess {
  /** @throws Error with what went wrong there */
  ask<K extends LoadRequest['kind']>(kind: K, request: Omit<Asked<K>, 'kind'>): Promise<LoadAnswers[K]>;
  kill(): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL('../../../dist/bench/load/main.js', import.meta.url));
/** Young objects of a load that sends as fast as it can live for a moment. */
const SEMI_SPACE_MIB = 64;

export function startLoad(options: {
  readonly core: number | undefined;
  readonly logFile: string;
}): LoadProcess {
  const worker = startWorker({
    name: 'the load',
    args: [`--max-semi-space-size=${SEMI_SPACE_MIB}`, PROGRAM],
    env: { PATH: process.env['PATH'] },
    ...options,
  });
  return {
    async ask<K extends LoadRequest['kind']>(kind: K, request: Omit<Asked<K>, 'kind'>) {
      const reply = (await worker.ask({ kind, ...request })) as LoadReply;
      if ('failure' in reply) throw new Error(`${kind}: ${reply.failure}`);
      return reply.answer as LoadAnswers[K];
    },
    kill: () => worker.kill(),
  };
}
