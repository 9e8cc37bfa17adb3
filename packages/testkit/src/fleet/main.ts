/**
 * A simulated fleet as a process: `node packages/testkit/dist/fleet/main.js --count 200 --endpoint http://127.0.0.1:8080`.
 * Prints a JSON line with the states of the VMs whenever they change; SIGTERM or SIGINT ends all VMs.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import { createLogger } from '@mig/common/logger';
import { startFleet } from './fleet.js';

const HELP = `Usage: node packages/testkit/dist/fleet/main.js [flags]

Simulates many VMs in one process against a controller: the real MIGlet in each, with a runner that runs nothing.

  --count N             VMs (default 200)
  --endpoint URL        HTTP of the controller (default http://127.0.0.1:8080)
  --prefix NAME         VMs are called NAME-1, NAME-2, … (default sim)
  --pool-id ID          default sim
  --org-id ID           default demo-org
  --heartbeat TIME      time between two heartbeats (default 15s)
`;
/** How often it is looked whether the states have changed. */
const WATCH_MS = 500;

async function main(): Promise<number> {
  let flags;
  try {
    flags = parseArgs({
      options: {
        count: { type: 'string', default: '200' },
        endpoint: { type: 'string', default: 'http://127.0.0.1:8080' },
        prefix: { type: 'string', default: 'sim' },
        'pool-id': { type: 'string', default: 'sim' },
        'org-id': { type: 'string', default: 'demo-org' },
        heartbeat: { type: 'string', default: '15s' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    process.stderr.write(`fleet: ${errorMessage(error)}\n\n${HELP}`);
    return 2;
  }
  if (flags.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (!/^[1-9]\d{0,5}$/.test(flags.count)) {
    process.stderr.write(
      `fleet: --count ${JSON.stringify(flags.count)} is not valid: use a whole number from 1\n`,
    );
    return 2;
  }
  const fleet = startFleet({
    count: Number(flags.count),
    prefix: flags.prefix,
    poolId: flags['pool-id'],
    orgId: flags['org-id'],
    endpoint: flags.endpoint,
    heartbeatInterval: flags.heartbeat,
    clock: systemClock,
    logger: createLogger({ name: 'fleet', level: 'warn' }),
    random: Math.random,
  });
  let last = '';
  const timer = setInterval(() => {
    const states = JSON.stringify(fleet.states());
    if (states !== last) process.stdout.write(`{"event":"states","states":${states}}\n`);
    last = states;
  }, WATCH_MS);
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

process.exitCode = await main();
process.exit();
