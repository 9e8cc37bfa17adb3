/** The end in order: first the VMs, which are drained, then the controller; and nothing may be left of either. */
import path from 'node:path';
import { processesOf } from '../system/processes-of.js';
import { isLeftBehind } from './checks/fleet.js';
import { checkSecrets } from './checks/secrets.js';
import { checkStore } from './checks/store.js';
import { violations, type Evidence, type Violation } from './evidence.js';
import { gather, type GatherDeps } from './gather.js';
import type { World } from './world.js';

export interface EndingDeps {
  readonly world: World;
  readonly gathering: GatherDeps;
  readonly check: (evidence: Evidence) => Violation[];
}

/** Longer than a job, and than the times that a MIGlet waits for its controller and its runner. */
const MIGLET_PATIENCE_MS = 90_000;
const CONTROLLER_PATIENCE_MS = 15_000;

export async function endInOrder({
  world,
  gathering,
  check,
}: EndingDeps): Promise<{ readonly evidence: Evidence; readonly violations: readonly Violation[] }> {
  const miglets = [...world.vms.map(({ service }) => service), ...(world.fleet ? [world.fleet] : [])];
  await Promise.all(miglets.map((service) => service.end('SIGTERM', MIGLET_PATIENCE_MS)));
  const evidence = await gather(gathering);
  await world.controller.end('SIGTERM', CONTROLLER_PATIENCE_MS);

  const unwilling = [...miglets, world.controller].flatMap(({ name, lives }) => {
    const life = lives.at(-1);
    return life?.code === 0
      ? []
      : [`${name} ended with ${life?.signal ?? `exit code ${life?.code ?? 'unknown'}`}`];
  });
  const ghosts = evidence.runners
    .filter((runner) => !isLeftBehind(runner, evidence.histories))
    .map(({ name, status }) => `${name} (${status}) is still registered`);
  const left = processesOf(world.folder)
    .filter((pid) => pid !== world.disk.holderPid)
    .map((pid) => `process ${pid} still runs`);
  return {
    evidence,
    violations: [
      ...check(evidence),
      ...violations('what is told to end ends in order', unwilling),
      ...violations('no registration is left of a VM that has ended', ghosts),
      ...violations('no process is left behind', left),
      ...checkStore({ directory: world.disk.outside, commands: evidence.commands, events: evidence.events }),
      ...checkSecrets({
        folders: [world.folder, world.disk.outside],
        except: [
          path.join(world.folder, 'github-token'),
          path.join(world.folder, 'programs'),
          // A runner keeps its own credential in its own folder, as the real one does.
          ...world.vms.map(({ runnerDirectory }) => runnerDirectory),
        ],
        secrets: world.secrets.list(),
      }),
    ],
  };
}
