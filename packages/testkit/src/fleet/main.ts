/**
 * A simulated fleet as a process: `node packages/testkit/dist/fleet/main.js --count 200 --endpoint http://127.0.0.1:8080`.
 * Prints a JSON line with the states of the VMs whenever they change; SIGTERM or SIGINT ends all VMs.
 *
 * Exit codes: 0 ended by a signal, or every VM has ended; 1 its parent is gone, or its folders cannot be used; 2 wrong
 * command line.
 */
import path from 'node:path';
import { systemClock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import { createLogger } from '@mig/common/logger';
import { identify, isAlive } from '@mig/common/process-identity';
import { openJsonLines } from '../system/json-lines.js';
import { createSeededRandom } from '../system/seeded-random.js';
import { startFleet, type SimulatedFleet } from './fleet.js';
import { giveJobs } from './job-giver.js';
import { FLEET_HELP, readFleetOptions, type FleetMainOptions } from './options.js';
import type { WitnessedFact } from './witness.js';

/** How often it is looked whether the states have changed. */
const WATCH_MS = 500;

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
    ofVm: (vmId) => {
      const lines =
        witnessDirectory && openJsonLines<WitnessedFact>(path.join(witnessDirectory, `${vmId}.jsonl`));
      return {
        ...(stateDirectory === undefined ? {} : { stateDirectory: path.join(stateDirectory, vmId) }),
        ...(lines ? { witness: (fact) => lines.write({ at: systemClock.now(), ...fact }) } : {}),
      };
    },
  });
  if (options.jobs !== undefined) {
    const stopGiving = giveJobs(fleet.vms, { clock: systemClock, random }, options.jobs);
    process.on('SIGUSR2', stopGiving);
  }
  if (options.parentPid !== undefined) endWithParent(options.parentPid);
  const timer = watchStates(fleet);
  await Promise.race([
    new Promise((resolve) => {
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
    }),
    Promise.all(fleet.vms.map((vm) => vm.ended)),
  ]);
  await fleet.stop();
  clearInterval(timer);
  return 0;
}

function watchStates(fleet: SimulatedFleet): NodeJS.Timeout {
  let last = '';
  return setInterval(() => {
    const states = JSON.stringify(fleet.states());
    if (states !== last) process.stdout.write(`{"event":"states","states":${states}}\n`);
    last = states;
  }, WATCH_MS);
}

/** At once: a fleet that is kept on disk goes on from there, and nobody is there to wait for one that is not. */
function endWithParent(pid: number): void {
  const parent = identify(pid);
  process.stdout.on('error', () => undefined);
  setInterval(() => {
    if (!isAlive(parent)) process.exit(1);
  }, WATCH_MS).unref();
}

process.exitCode = await main();
process.exit();
