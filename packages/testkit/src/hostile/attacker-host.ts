/** The processes of an attack. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Ground } from '../reliability/ground.js';
import { waitUntil } from '../system/wait.js';
import type { AttackName } from './attack-names.js';
import type { AttackerLine } from './attacker/attacker-main.js';
import type { Target } from './attacker/attack.js';
import { giveWay, pin, type Processors } from './processors.js';
import { writeSettings } from './settings-file.js';

const START_MS = 60_000;
/** An attacker that does not hear is ended; what it counted is lost. */
const END_MS = 5_000;
const HERE = path.dirname(fileURLToPath(import.meta.url));

export interface Attackers {
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
export async function startAttackers(
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
