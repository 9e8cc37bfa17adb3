import path from 'node:path';
import { ROOT, run, type Finished } from './system.js';

/** migctl as an operator runs it: a process. */
export const runMigctl = (...args: string[]): Promise<Finished> =>
  run(path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js'), args).finished;
