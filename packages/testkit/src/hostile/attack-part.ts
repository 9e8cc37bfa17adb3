/**
 * One attack, measured: a controller with its default limits, VMs that do what they should, and phases alone and under attack
 * in turns (A B A B … A), all in one life of the controller.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { readUsage } from '../chaos/usage.js';
import type { Ground } from '../reliability/ground.js';
import type { Part, PartResult } from '../reliability/part.js';
import { waitUntil } from '../system/wait.js';
import { ATTACK_TITLES } from './attack-names.js';
import { startAttackers } from './attacker-host.js';
import { startHonest } from './honest-host.js';
import { attacksOf, type HostileOptions, type PartName } from './options.js';
import { judge } from './outcome.js';
import type { Phase } from './phases.js';
import { findProcessors, goBefore, pin, processorSeconds, waitedSeconds } from './processors.js';
import { joinHostile, limitsReached, startControl } from './secure-control.js';

/** What the controller still has to do when an attacker has gone belongs to neither phase, … */
const SETTLE_MS = 1_500;
/** … nor what the others still wait for then: as long as one of their commands is older than this. */
const RECOVERED_MS = 100;
const RECOVERY_DEADLINE_MS = 60_000;
const LOOK_MS = 250;
const START_MS = 120_000;

export const attackPart = (name: PartName): Part<HostileOptions> => ({
  name,
  title: name === 'combined' ? 'all of these at once' : ATTACK_TITLES[name],
  boundMs: ({ seconds, rounds }) =>
    START_MS + (2 * rounds + 1) * seconds * 1_000 + (rounds + 1) * (RECOVERY_DEADLINE_MS + 20_000),
  run: (ground, options) => run(ground, name, options),
});

async function run(ground: Ground, name: PartName, options: HostileOptions): Promise<PartResult> {
  const { signal } = ground;
  const processors = findProcessors();
  const control = await startControl(ground, name, options);
  const { pid } = control;
  pin(pid, processors?.controller);
  const isFirst = goBefore(pid);
  const target = await joinHostile(control);
  const honest = await startHonest(ground, control, options, processors);
  const memory = { before: residentBytes(pid), peak: 0, after: 0 };
  const reachedBefore = await limitsReached(control);

  const phases: Phase[] = [];
  const counts: Record<string, number> = {};
  let recoveryMs = 0;
  const watch = setInterval(() => (memory.peak = Math.max(memory.peak, residentBytes(pid))), LOOK_MS);
  const phase = async (kind: Phase['kind']): Promise<void> => {
    const before = { used: processorSeconds(pid), waited: waitedSeconds(pid) };
    const from = Date.now();
    await pause(options.seconds * 1_000, undefined, { signal });
    phases.push({
      kind,
      from,
      until: Date.now(),
      processorSeconds: processorSeconds(pid) - before.used,
      waitedSeconds: waitedSeconds(pid) - before.waited,
    });
  };
  const recover = async (): Promise<void> => {
    const overAt = performance.now();
    await waitUntil('nobody waits any more', () => honest.oldestMs() < RECOVERED_MS, {
      deadlineMs: RECOVERY_DEADLINE_MS,
      signal,
    });
    recoveryMs = Math.max(recoveryMs, performance.now() - overAt);
    await pause(SETTLE_MS, undefined, { signal });
  };
  try {
    for (let round = 0; round < options.rounds; round += 1) {
      await phase('alone');
      const hosts = { seconds: options.seconds, target, processors, isFirst };
      const attackers = await startAttackers(ground, attacksOf(name), hosts);
      await phase('attacked');
      for (const [what, count] of Object.entries(await attackers.stop()))
        counts[what] = (counts[what] ?? 0) + count;
      await recover();
    }
    await phase('alone');
    await recover();
  } finally {
    clearInterval(watch);
  }
  memory.after = residentBytes(pid);
  const reachedAfter = await limitsReached(control);
  await honest.stop();
  await control.controller.stop();
  const reached = Object.entries(reachedAfter).map(
    ([limit, count]) => [limit, count - (reachedBefore[limit] ?? 0)] as const,
  );
  return judge({
    phases,
    honest,
    counts,
    reached: Object.fromEntries(reached.filter(([, count]) => count > 0)),
    recoveryMs,
    memory,
    processors,
    crashes: control.crashes,
  });
}

const residentBytes = (pid: number): number => readUsage(pid)?.residentBytes ?? 0;
