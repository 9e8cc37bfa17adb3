/**
 * One attack, measured: a controller with its default limits, VMs that do what they should, and phases alone and under attack
 * in turns (A B A B …), all in one life of the controller.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readUsage } from '../chaos/usage.js';
import { POOL, type Control, type Ground } from '../reliability/ground.js';
import { verdict, type Figure, type Part, type PartResult } from '../reliability/part.js';
import { waitUntil } from '../system/wait.js';
import { ATTACK_TITLES, type AttackName } from './attack-names.js';
import type { AttackerLine, AttackerSettings } from './attacker/attacker-main.js';
import type { Target } from './attacker/attack.js';
import type { HonestLine, HonestSettings } from './honest/honest-main.js';
import { get, joinVm, post } from './honest/join.js';
import { attacksOf, type HostileOptions, type PartName } from './options.js';
import {
  findProcessors,
  giveWay,
  goBefore,
  pin,
  processorSeconds,
  waitedSeconds,
  type Processors,
} from './processors.js';
import { describePhases, latencyOf, samplesOf, type Phase, type Sample } from './phases.js';

/** Other VMs' p99 under attack may be so many times their p99 alone. */
const MAX_RATIO = 2;
/** What a controller of this size may grow by, whatever comes. */
const MAX_GROWTH_BYTES = 256 * 2 ** 20;
/** What the controller still has to do when an attacker has gone belongs to neither phase. */
const SETTLE_MS = 1_500;
/** … nor what the others still wait for then: as long as one of their commands is older than this. */
const RECOVERED_MS = 100;
const RECOVERY_DEADLINE_MS = 60_000;
const HOSTILE_VM = 'vm-hostile';
const START_MS = 60_000;
/** An attacker that does not hear is ended; what it counted is lost. */
const END_MS = 5_000;
const HERE = path.dirname(fileURLToPath(import.meta.url));

export const attackPart = (name: PartName): Part<HostileOptions> => ({
  name,
  title: name === 'combined' ? 'all of these at once' : ATTACK_TITLES[name],
  boundMs: ({ seconds, rounds }) =>
    (2 * rounds + 1) * (seconds * 1_000 + 2 * SETTLE_MS + 5_000) + 2 * START_MS,
  run: (ground, options) => run(ground, name, options),
});

async function run(ground: Ground, name: PartName, options: HostileOptions): Promise<PartResult> {
  const processors = findProcessors();
  const control = await startControl(ground, name, options);
  pin(control.pid, processors?.controller);
  const isFirst = goBefore(control.pid);
  const target = await joinHostile(control);
  const honest = await startHonest(ground, control, options, processors);
  const resting = readUsage(control.pid);
  const before = await limitsReached(control);

  const phases: Phase[] = [];
  const counts: Record<string, number> = {};
  let peakBytes = 0;
  let recoveryMs = 0;
  const watch = setInterval(() => {
    peakBytes = Math.max(peakBytes, readUsage(control.pid)?.residentBytes ?? 0);
  }, 250);
  const phase = async (kind: Phase['kind']): Promise<void> => {
    const { pid } = control;
    const before = { used: processorSeconds(pid), waited: waitedSeconds(pid) };
    const from = Date.now();
    await pause(options.seconds * 1_000, undefined, { signal: ground.signal });
    phases.push({
      kind,
      from,
      until: Date.now(),
      processorSeconds: processorSeconds(pid) - before.used,
      waitedSeconds: waitedSeconds(pid) - before.waited,
    });
  };
  try {
    for (let round = 0; round < options.rounds; round += 1) {
      await phase('alone');
      const attackers = await startAttackers(ground, attacksOf(name), {
        ...options,
        target,
        processors,
        isFirst,
      });
      await phase('attacked');
      for (const [what, count] of Object.entries(await attackers.stop()))
        counts[what] = (counts[what] ?? 0) + count;
      const overAt = performance.now();
      await waitUntil('nobody waits any more', () => honest.oldestMs() < RECOVERED_MS, {
        deadlineMs: RECOVERY_DEADLINE_MS,
        signal: ground.signal,
      });
      recoveryMs = Math.max(recoveryMs, performance.now() - overAt);
      await pause(SETTLE_MS, undefined, { signal: ground.signal });
    }
    await phase('alone');
    // What was asked for last is recorded, or it is not.
    await pause(SETTLE_MS, undefined, { signal: ground.signal });
  } finally {
    clearInterval(watch);
  }
  const after = await limitsReached(control);
  const attacked = readUsage(control.pid);
  await honest.stop();
  await control.controller.stop();

  const [alone, under] = (['alone', 'attacked'] as const).map((kind) =>
    phases.filter((each) => each.kind === kind),
  ) as [Phase[], Phase[]];
  const latency = {
    alone: latencyOf(samplesOf(honest.samples, alone)),
    under: latencyOf(samplesOf(honest.samples, under)),
  };
  if (process.env['HOSTILE_DEBUG'] !== undefined)
    writeFileSync(
      path.join(process.env['HOSTILE_DEBUG'], `${name}.json`),
      JSON.stringify({ phases, samples: honest.samples }),
    );
  const ratio = latency.under.p99Ms / latency.alone.p99Ms;
  const ms = (figure: string, of: (each: typeof latency.alone) => number): Figure => ({
    name: `${figure}, alone -> attacked`,
    value: `${of(latency.alone).toFixed(1)} -> ${of(latency.under).toFixed(1)}`,
    unit: 'ms',
  });
  const share = (all: Phase[], of: 'processorSeconds' | 'waitedSeconds'): string => {
    const seconds = all.reduce((sum, { from, until }) => sum + (until - from) / 1_000, 0);
    return `${((100 * all.reduce((sum, each) => sum + each[of], 0)) / seconds).toFixed(0)}%`;
  };
  const mebibytes = (bytes: number | undefined): string => ((bytes ?? 0) / 2 ** 20).toFixed(0);
  const within = (all: Phase[], at: number): boolean =>
    all.some(({ from, until }) => at >= from && at < until);
  const reconnects = (all: Phase[]): string =>
    Math.max(0, ...honest.reconnects.filter(({ at }) => within(all, at)).map(({ tookMs }) => tookMs)).toFixed(
      0,
    );
  const lag = (all: Phase[]): string =>
    Math.max(0, ...honest.lags.filter(({ at }) => within(all, at)).map(({ lagMs }) => lagMs)).toFixed(0);
  const growth = peakBytes - (resting?.residentBytes ?? 0);
  return {
    figures: [
      {
        name: 'commands to the others, alone, attacked',
        value: `${latency.alone.count}, ${latency.under.count}`,
      },
      ms('until recorded, p50', ({ p50Ms }) => p50Ms),
      ms('until recorded, p99', ({ p99Ms }) => p99Ms),
      ms('until recorded, max', ({ maxMs }) => maxMs),
      {
        name: 'p99 of each phase, A alone, B attacked',
        value: describePhases(honest.samples, phases),
        unit: 'ms',
      },
      { name: 'p99 attacked / p99 alone', value: ratio.toFixed(2) },
      {
        name: 'reconnect of another VM, max, alone -> attacked',
        value: `${reconnects(alone)} -> ${reconnects(under)}`,
        unit: 'ms',
      },
      {
        name: 'the measuring process itself was late, max',
        value: `${lag(alone)} -> ${lag(under)}`,
        unit: 'ms',
      },
      {
        name: 'processor of the controller, alone -> attacked',
        value: `${share(alone, 'processorSeconds')} -> ${share(under, 'processorSeconds')}`,
      },
      {
        name: 'it waited for its processor, alone -> attacked',
        value: `${share(alone, 'waitedSeconds')} -> ${share(under, 'waitedSeconds')}`,
      },
      {
        name: 'until nobody waited any more after an attack, max',
        value: (recoveryMs / 1_000).toFixed(1),
        unit: 's',
      },
      {
        name: 'memory of the controller, before -> peak -> after',
        value: `${mebibytes(resting?.residentBytes)} -> ${mebibytes(peakBytes)} -> ${mebibytes(attacked?.residentBytes)}`,
        unit: 'MiB',
      },
      ...Object.entries(counts).map(([what, value]) => ({ name: `attacker: ${what}`, value })),
      ...Object.entries(after)
        .map(([limit, count]) => ({ name: `limit reached: ${limit}`, value: count - (before[limit] ?? 0) }))
        .filter(({ value }) => value > 0),
      {
        name: 'processors',
        value:
          processors === undefined
            ? 'shared by all'
            : `controller ${processors.controller}, load ${processors.load}`,
      },
    ],
    verdicts: [
      verdict(
        `other VMs' p99 is at most ${MAX_RATIO} times what it is alone`,
        ratio <= MAX_RATIO ? [] : [`it is ${ratio.toFixed(2)} times`],
      ),
      verdict('every command to the others was recorded, and no stream of theirs was cut', honest.troubles),
      verdict('the controller answered nothing with 5xx, and did not end', [
        ...Object.keys(counts).filter((what) => /: 5\d\d$|: gRPC (2|13|15)$/.test(what)),
        ...control.crashes,
      ]),
      verdict(
        `its memory grew by ${MAX_GROWTH_BYTES / 2 ** 20} MiB at most`,
        growth <= MAX_GROWTH_BYTES ? [] : [`by ${mebibytes(growth)} MiB`],
      ),
    ],
  };
}

interface SecureControl extends Control {
  readonly pid: number;
  readonly grpc: string;
  readonly adminToken: string;
  readonly joinToken: string;
}

/** Everything is as it is by default, but for the folder and the ports. */
async function startControl(
  ground: Ground,
  name: PartName,
  { profile }: HostileOptions,
): Promise<SecureControl> {
  let grpc = '';
  if (profile !== undefined) mkdirSync(profile, { recursive: true });
  const control = await ground.startControl({
    env: {
      CONTROLLER_INSECURE: 'false',
      CONTROLLER_GITHUB_AUTH: 'none',
      ...(profile === undefined
        ? {}
        : {
            NODE_OPTIONS: `--import ${path.join(HERE, 'profile-process.js')}`,
            PROFILE_FILE: path.resolve(profile, `${name}.cpuprofile`),
          }),
    },
    onControllerLog(entry) {
      if (entry['event'] === 'listening') grpc = String(entry['grpc']);
    },
  });
  const file = path.join(control.controller.dataDirectory, '.auth', 'admin-token');
  const adminToken = readFileSync(file, 'utf8').trim();
  const made = await post(control.controller.http, '/api/v1/tokens', {
    token: adminToken,
    body: { kind: 'join', name: 'vms', pool_id: POOL, expires_in_ms: 86_400_000 },
  });
  if (made.status !== 201) throw new Error(`no join token: ${made.status} ${JSON.stringify(made.json)}`);
  return { ...control, pid: control.controller.pid, grpc, adminToken, joinToken: String(made.json['token']) };
}

async function joinHostile({ controller, grpc, joinToken }: SecureControl): Promise<Target> {
  const place = { vmId: HOSTILE_VM, poolId: POOL };
  const session = await joinVm(controller.http, { ...place, joinToken });
  const { hostname, port } = new URL(controller.http);
  const [host = '', grpcPort] = grpc.split(':');
  return {
    ...place,
    session,
    http: { host: hostname, port: Number(port) },
    grpc: { host, port: Number(grpcPort) },
  };
}

async function limitsReached({ controller }: Control): Promise<Readonly<Record<string, number>>> {
  const { json } = await get(controller.http, '/health');
  return json['limits_reached'] as Record<string, number>;
}

/** Settings hold tokens: nobody else may read them. */
function writeSettings(ground: Ground, name: string, settings: HonestSettings | AttackerSettings): string {
  const file = path.join(ground.folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
  return file;
}

interface Honest {
  readonly samples: readonly Sample[];
  readonly reconnects: readonly { readonly at: number; readonly tookMs: number }[];
  readonly lags: readonly { readonly at: number; readonly lagMs: number }[];
  /** The age of the oldest of their commands that is not recorded. */
  oldestMs(): number;
  readonly troubles: readonly string[];
  stop(): Promise<void>;
}

async function startHonest(
  ground: Ground,
  control: SecureControl,
  { vms, rate }: HostileOptions,
  processors: Processors | undefined,
): Promise<Honest> {
  const samples: Sample[] = [];
  const reconnects: { at: number; tookMs: number }[] = [];
  const lags: { at: number; lagMs: number }[] = [];
  let oldestMs = 0;
  const troubles: string[] = [];
  let isReady = false;
  const file = writeSettings(ground, 'honest', {
    http: control.controller.http,
    grpc: control.grpc,
    poolId: POOL,
    joinToken: control.joinToken,
    operatorToken: control.adminToken,
    vms,
    rate,
    hostileVmId: HOSTILE_VM,
    parentPid: process.pid,
  });
  const child = ground.start({
    args: [path.join(HERE, 'honest', 'honest-main.js'), file],
    onLog(entry) {
      const line = entry as unknown as HonestLine;
      if (line.event === 'ready') isReady = true;
      else if (line.event === 'done') samples.push(...line.commands);
      else if (line.event === 'reconnected') reconnects.push(line);
      else if (line.event === 'state') {
        lags.push(line);
        ({ oldestMs } = line);
      } else troubles.push(line.what);
    },
  });
  pin(child.pid, processors?.load);
  goBefore(child.pid);
  await waitUntil('the VMs are there', () => isReady, { deadlineMs: START_MS, signal: ground.signal });
  // What the first of everything costs belongs to no phase.
  await pause(SETTLE_MS, undefined, { signal: ground.signal });
  return {
    samples,
    reconnects,
    lags,
    troubles,
    oldestMs: () => oldestMs,
    async stop() {
      child.signal('SIGTERM');
      await child.exited;
    },
  };
}

interface Attackers {
  /** Ends them. @returns what they counted */
  stop(): Promise<Readonly<Record<string, number>>>;
}

interface AttackerOptions {
  readonly seconds: number;
  readonly target: Target;
  readonly processors: Processors | undefined;
  /** The VMs that do what they should go before others already. */
  readonly isFirst: boolean;
}

/** Each attack is a process of its own. Resolves when all attack. */
async function startAttackers(
  ground: Ground,
  names: readonly AttackName[],
  options: AttackerOptions,
): Promise<Attackers> {
  const attackers = await Promise.all(names.map((name) => startAttacker(ground, name, options)));
  return {
    async stop() {
      const counted = await Promise.all(attackers.map((attacker) => attacker.stop()));
      return Object.fromEntries(
        counted.flatMap((counts, index) =>
          Object.entries(counts).map(([what, count]) => [
            names.length === 1 ? what : `${names[index] ?? ''}, ${what}`,
            count,
          ]),
        ),
      );
    },
  };
}

async function startAttacker(
  ground: Ground,
  attack: AttackName,
  options: AttackerOptions,
): Promise<Attackers> {
  let isAttacking = false;
  let counts: Readonly<Record<string, number>> = {};
  const file = writeSettings(ground, `attacker-${attack}`, {
    target: options.target,
    attack,
    maxSeconds: options.seconds + 30,
    parentPid: process.pid,
  });
  const child = ground.start({
    args: [path.join(HERE, 'attacker', 'attacker-main.js'), file],
    onLog(entry) {
      const line = entry as unknown as AttackerLine;
      if (line.event === 'attacking') isAttacking = true;
      else if (line.event === 'over') ({ counts } = line);
    },
  });
  pin(child.pid, options.processors?.load);
  if (!options.isFirst) giveWay(child.pid);
  await waitUntil(`${attack} is at work`, () => isAttacking, {
    deadlineMs: START_MS,
    everyMs: 10,
    signal: ground.signal,
  });
  return {
    async stop() {
      child.signal('SIGTERM');
      const patience = setTimeout(() => child.signal('SIGKILL'), END_MS);
      await child.exited;
      clearTimeout(patience);
      return counts;
    },
  };
}
