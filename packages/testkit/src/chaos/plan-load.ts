/** What is asked for in a storm: commands, cancels, drains and jobs, each concern from a stream of its own. */
import {
  POOL,
  SIMULATED_POOL,
  STORM_MS,
  simulatedVmIds,
  vmIds,
  type DrainBody,
  type LoadAction,
  type PlanOptions,
  type Step,
} from './steps.js';
import { createRandom, type Random } from './random.js';

/** Steps of a concern carry numbers that no other round uses. */
const NUMBERS_PER_ROUND = 10_000;
const COMMAND_PAUSE_MS = { min: 40, max: 260 };
const JOB_PAUSE_MS = { min: 300, max: 1_700 };
const JOB_MS = { min: 200, max: 8_000 };
/** Its commands come from the fleet's simulated VMs this often, if there are any. */
const SIMULATED_SHARE = 0.4;

export function planLoad(options: PlanOptions, round: number): Step[] {
  const steps = [...planCommands(options, round), ...planDrains(options, round), ...planJobs(options, round)];
  return steps.filter(({ atMs }) => atMs < STORM_MS);
}

type Command = Pick<Extract<LoadAction, { do: 'submit' }>, 'type' | 'parameters'>;

function planCommands(options: PlanOptions, round: number): Step[] {
  const when = createRandom(options.seed, 'commands', round, 'when');
  const vms = vmIds(options.vmCount);
  const simulated = simulatedVmIds(options.simulatedCount);
  const steps: Step[] = [];
  let n = round * NUMBERS_PER_ROUND;
  for (let atMs = 0; atMs < STORM_MS; atMs += when.int(COMMAND_PAUSE_MS.min, COMMAND_PAUSE_MS.max)) {
    n += 1;
    const random = createRandom(options.seed, 'commands', round, 'command', n);
    const isSimulated = simulated.length > 0 && random.chance(SIMULATED_SHARE);
    const vmId = random.pick(isSimulated ? simulated : vms);
    const command = isSimulated ? createHarmless(n, random) : createCommand(n, random);
    steps.push({
      round,
      atMs,
      action: {
        do: 'submit',
        n,
        vmId,
        ...command,
        ...(random.chance(0.12) ? { deliveryDeadlineMs: random.int(100, 3_000) } : {}),
        twice: random.chance(0.1),
      },
    });
    if (random.chance(0.08)) {
      steps.push({ round, atMs: atMs + random.int(0, 600), action: { do: 'cancel', n } });
    }
    if (command.type === 'drain') {
      // Nobody is left out of service for long.
      n += 1;
      const back = { type: 'undrain', parameters: { reason: `mark-${n}` } };
      const undrainAtMs = atMs + random.int(500, 5_000);
      steps.push({ round, atMs: undrainAtMs, action: { do: 'submit', n, vmId, ...back, twice: false } });
    }
  }
  return steps;
}

/** Each carries a mark of its own. The log levels are such that what is done is still told. */
function createCommand(n: number, random: Random): Command {
  const mark = `mark-${n}`;
  const kind = random.weighted([
    [80, 'harmless'],
    [6, 'drain'],
    [4, 'undrain'],
    [3, 'shutdown'],
  ] as const);
  switch (kind) {
    case 'harmless':
      return createHarmless(n, random);
    case 'drain': {
      const force = random.chance(0.15);
      const deadline = !force && random.chance(0.2) ? { deadline_ms: random.int(500, 3_000) } : {};
      return { type: 'drain', parameters: { reason: mark, ...(force ? { force } : {}), ...deadline } };
    }
    case 'undrain':
      return { type: 'undrain', parameters: { reason: mark } };
    case 'shutdown':
      return {
        type: 'shutdown',
        parameters: { reason: mark, ...(random.chance(0.15) ? { force: true } : {}) },
      };
  }
}

function createHarmless(n: number, random: Random): Command {
  if (random.chance(0.55)) {
    return { type: 'set_log_level', parameters: { level: random.pick(['info', 'debug']) } };
  }
  return random.chance(0.5)
    ? { type: 'update_config', parameters: { labels: `mark-${n}` } }
    : { type: 'update_config', parameters: { heartbeat_interval_ms: random.int(1_000, 1_500) } };
}

function planDrains(options: PlanOptions, round: number): Step[] {
  const random = createRandom(options.seed, 'drains', round);
  const steps: Step[] = [];
  const count = random.int(1, 2);
  for (let index = 0; index < count; index += 1) {
    const n = round * NUMBERS_PER_ROUND + index + 1;
    const atMs = random.int(1_000 + index * 8_000, 8_000 + index * 8_000);
    steps.push({ round, atMs, action: { do: 'drain', n, body: createDrain(n, options, random) } });
    if (random.chance(0.4)) {
      steps.push({ round, atMs: atMs + random.int(200, 6_000), action: { do: 'undrain', n } });
    }
  }
  return steps;
}

function createDrain(n: number, options: PlanOptions, random: Random): DrainBody {
  const ending = random.weighted([
    [7, { deadline_ms: 0, force: false }],
    [1, { deadline_ms: random.int(500, 4_000), force: false }],
    [1, { deadline_ms: 0, force: true }],
  ]);
  const vms = vmIds(options.vmCount);
  const some = vms.filter(() => random.chance(0.6));
  const chosen = random.weighted<DrainBody['selector']>([
    [3, { pool_id: POOL }],
    [3, { vm_ids: some.length > 0 ? some : vms }],
    [options.simulatedCount > 0 ? 2 : 0, { pool_id: SIMULATED_POOL }],
  ]);
  const isSimulated = 'pool_id' in chosen && chosen.pool_id === SIMULATED_POOL;
  return {
    selector: chosen,
    reason: `drain-${n}`,
    ...ending,
    max_unavailable: isSimulated ? 10 : random.int(1, Math.max(1, options.vmCount - 2)),
    // A simulated VM that has ended does not come back.
    then: !isSimulated && random.chance(0.2) ? 'shutdown' : 'keep',
  };
}

function planJobs(options: PlanOptions, round: number): Step[] {
  const random = createRandom(options.seed, 'jobs', round);
  const steps: Step[] = [];
  let n = round * NUMBERS_PER_ROUND;
  for (let atMs = 0; atMs < STORM_MS; atMs += random.int(JOB_PAUSE_MS.min, JOB_PAUSE_MS.max)) {
    n += 1;
    const durationMs = random.int(JOB_MS.min, random.pick([1_500, JOB_MS.max]));
    const result = random.chance(0.85) ? 'Succeeded' : 'Failed';
    steps.push({ round, atMs, action: { do: 'job', n, durationMs, result } });
  }
  return steps;
}
