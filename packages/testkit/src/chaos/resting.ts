/** What the controller and the MIGlets take, at rest. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { filesBelow } from './checks/secrets.js';
import type { Resting } from './checks/growth.js';
import { readUsage } from './usage.js';
import type { World } from './world.js';

/** What the store keeps for good, within its retention. */
const RECORD =
  /(^|\/)(vm\.json|commands\/[^/]+\.json|\.(drains|workflow-jobs|documents)\/[^/]+\.json|[^/]*(event|heartbeat)-[^/]+\.json)$/;

/** Undefined while no controller runs. */
export function readResting(world: World, commandCount: number): Resting | undefined {
  const { pid } = world.controller;
  const usage = pid === undefined ? undefined : readUsage(pid);
  if (usage === undefined) return undefined;
  return {
    ...usage,
    commandCount,
    otherFiles: filesBelow(world.disk.outside, new Set()).filter(
      (file) => !RECORD.test(path.relative(world.disk.outside, file)),
    ).length,
    migletFiles: Math.max(...world.vms.map(({ stateDirectory }) => readdirSync(stateDirectory).length)),
  };
}
