/** Owns the runner's process for the life of the machine: starts, watches and ends it, and tells what it does. */
import { fromCallback } from 'xstate';
import type { RunnerRequest } from '../machine/types.js';
import { createSupervision, type SupervisionDeps } from '../runner/supervision.js';

export type RunnerActorDeps = Omit<SupervisionDeps, 'tell'>;

export function createRunnerActor(deps: RunnerActorDeps) {
  return fromCallback<RunnerRequest>(({ receive, sendBack }) => {
    const supervision = createSupervision({ ...deps, tell: sendBack });
    receive((request) => {
      switch (request.type) {
        case 'start':
          supervision.start(request.registration);
          return;
        case 'stop':
          supervision.stop();
          return;
        case 'kill':
          supervision.kill();
      }
    });
    supervision.adopt();
    // The brake ends the watching, never the runner: a job may be running.
    return () => supervision.release();
  });
}
