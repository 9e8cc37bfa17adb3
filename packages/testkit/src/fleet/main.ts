/**
 * A simulated fleet as a process: `node packages/testkit/dist/fleet/main.js --count 200 --endpoint http://127.0.0.1:8080`.
 * Prints a JSON line with the states of the VMs whenever they change, and one at the moment at which a VM ends; SIGTERM or
 * SIGINT ends all VMs.
 *
 * Exit codes: 0 ended by a signal, or every VM has ended; 1 its parent is gone, or its folders cannot be used; 2 wrong
 * command line.
 */
import path from 'node:path';
import { systemClock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import { createLogger } from '@mig/common/logger';
import { endWithParent } from '../system/end-with-parent.js';
import { openJsonLines } from '../system/json-lines.js';
import { createSeededRandom } from '../system/seeded-random.js';
import { createConnectedRunner } from './connected-runner.js';
import { startFleet, type SimulatedFleet } from './fleet.js';
import { giveJobs } from './job-giver.js';
import { FLEET_HELP, readFleetOptions, type FleetMainOptions } from './options.js';
import type { WitnessedFact } from './witness.js';

/** How often it is looked whether the states have changed. */
const WATCH_MS = 500;
const EAGER_REGISTRATION = { first: '200ms', max: '2s', failures: 1_000 };

const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

async function main(): Promise<number> {
  const reading = readFleetOptions(process.argv.slice(2));
  switch (reading.kind) {
    case 'help':
      process.stdout.write(FLEET_HELP);
      return 0;
    case 'refused':
      process.stderr.write(`${reading.faults.map((fault) => `fleet: ${fault}`).join('\n')}\n\n${FLEET_HELP}`);
      return 2;
    case 'run':
      try {
        return await run(reading.options);
      } catch (error) {
        process.stderr.write(`fleet: ${errorMessage(error)}\n`);
        return 1;
      }
  }
}

async function run(options: FleetMainOptions): Promise<number> {
  const random = options.seed === undefined ? Math.random : createSeededRandom(options.seed);
  const { stateDirectory, witnessDirectory } = options;
  const fleet = startFleet({
    ...options,
    clock: systemClock,
    logger: createLogger({ name: 'fleet', level: 'warn' }),
    random,
    registration: options.connected ? EAGER_REGISTRATION : undefined,
    onEnded: (vmId, { outcome }) => print({ event: 'ended', vm_id: vmId, outcome }),
    ofVm: (vmId) => {
      const lines =
        witnessDirectory && openJsonLines<WitnessedFact>(path.join(witnessDirectory, `${vmId}.jsonl`));
      return {
        ...(options.connected
          ? { labels: [vmId], runner: createConnectedRunner({ clock: systemClock, random }) }
          : {}),
        ...(stateDirectory === undefined ? {} : { stateDirectory: path.join(stateDirectory, vmId) }),
        ...(lines ? { witness: (fact) => lines.write({ at: systemClock.now(), ...fact }) } : {}),
      };
    },
  });
  const stopGiving =
    options.jobs === undefined
      ? undefined
      : giveJobs(fleet.vms, { clock: systemClock, random }, options.jobs);
  process.on('SIGUSR2', () => {
    stopGiving?.();
    fleet.stopRestarting();
  });
  // At once: a fleet that is kept on disk goes on from there, and nobody is there to wait for one that is not.
  if (options.parentPid !== undefined) endWithParent(options.parentPid);
  const timer = watchStates(fleet);
  await Promise.race([
    new Promise((resolve) => {
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
    }),
    fleet.ended,
  ]);
  await fleet.stop();
  clearInterval(timer);
  return 0;
}

function watchStates(fleet: SimulatedFleet): NodeJS.Timeout {
  let last = '';
  return setInterval(() => {
    const states = JSON.stringify(fleet.states());
    if (states !== last) print({ event: 'states', states: JSON.parse(states) as unknown });
    last = states;
  }, WATCH_MS);
}

process.exitCode = await main();
process.exit();
