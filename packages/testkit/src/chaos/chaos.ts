/**
 * A run: the world is started, each round of the plan is a storm and a calm with its checks and a drill, and in the end
 * everything is told to end in order and what is left is looked through.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createOperatorApi, type OperatorApi } from '../system/operator-api.js';
import { createCaller, type Caller } from './caller.js';
import { checkCommands } from './checks/commands.js';
import { checkDrains } from './checks/drains.js';
import { checkEvents } from './checks/events.js';
import { checkFleet } from './checks/fleet.js';
import { checkGrowth, type Resting } from './checks/growth.js';
import { checkJobs } from './checks/jobs.js';
import { checkProcesses } from './checks/processes.js';
import { createControllerHistory } from './controller-history.js';
import { drill } from './drill.js';
import { endInOrder } from './ending.js';
import { violations, type Evidence, type Violation } from './evidence.js';
import { createFaults, type Faults } from './faults.js';
import { toFigures, type Figures } from './figures.js';
import { gather, type GatherDeps } from './gather.js';
import { createPlan } from './plan.js';
import { isLoad, simulatedVmIds, STORM_MS, vmIds, type Step } from './steps.js';
import { REST_DEADLINE_MS, comeToRest, standingOf } from './rest.js';
import { readResting } from './resting.js';
import { createSampler, type Sampler } from './sampler.js';
import { createVmHistoryReader } from './vm-history.js';
import type { ChaosOptions } from './options.js';
import type { World } from './world.js';

export interface ChaosResult {
  readonly figures: Figures;
  /** Empty if every promise held. */
  readonly violations: readonly Violation[];
  /** What was done, as far as it came. */
  readonly done: readonly Step[];
}

/** How a run stands, for those who watch it. */
export interface ChaosProgress {
  readonly round: number;
  readonly rounds: number;
  readonly phase: 'start' | 'storm' | 'calm' | 'drill' | 'end';
  readonly caller: Caller;
  readonly faults: Faults;
  readonly sampler: Sampler;
}

export interface ChaosDeps {
  readonly world: World;
  readonly options: ChaosOptions;
  readonly onProgress: (progress: ChaosProgress) => void;
  /** Aborted: what is going on is given up, and everything ends in order. */
  readonly signal: AbortSignal;
}

export async function runChaos({ world, options, onProgress, signal }: ChaosDeps): Promise<ChaosResult> {
  const plan = createPlan(options);
  const giveUp = new AbortController();
  const ended = AbortSignal.any([signal, giveUp.signal]);
  const apiAt = (url: string, until: AbortSignal): OperatorApi =>
    createOperatorApi(() => url, { signal: until, random: Math.random });
  const askFor = (deadlineMs: number): OperatorApi =>
    apiAt(world.directUrl, AbortSignal.any([giveUp.signal, AbortSignal.timeout(deadlineMs)]));
  const caller = createCaller(apiAt(world.callerUrl, ended), world.github);
  const faults = createFaults(world);
  const sampler = createSampler(world.directUrl, () => world.controller.pid);
  const histories = world.vms.map((vm) => createVmHistoryReader(vm.vmId, vm.logFile, vm.stateDirectory));
  const controller = createControllerHistory(world.controllerLogFile);
  const { simulatedCount } = options;
  const allVmIds = [...vmIds(options.vmCount), ...simulatedVmIds(simulatedCount)];
  const at = { world, askFor, caller, vmIds: allVmIds, signal: ended };
  const gathering: GatherDeps = {
    world,
    askFor,
    caller,
    faults,
    sampler,
    histories,
    controller,
    simulatedCount,
    signal: giveUp.signal,
  };
  const done: Step[] = [];
  const found: Violation[] = [];
  const recoveries: number[] = [];
  const restings: Resting[] = [];
  let evidence: Evidence | undefined;

  const tell = (round: number, phase: ChaosProgress['phase']): void =>
    onProgress({ round, rounds: plan.length, phase, caller, faults, sampler });

  /** True if everything came to rest. */
  async function rest(): Promise<boolean> {
    const unrest = await comeToRest(at);
    const promise = `everything comes to rest within ${REST_DEADLINE_MS / 1_000} s when nothing is broken any more`;
    found.push(...violations(promise, unrest));
    return unrest.length === 0;
  }

  async function playRound(steps: readonly Step[], round: number): Promise<void> {
    tell(round, 'storm');
    await storm(steps, (step) => {
      done.push(step);
      if (isLoad(step.action)) caller.act(step.action);
      else faults.inject(step.action);
    });
    tell(round, 'calm');
    faults.repair();
    await rest();
    evidence = await gather(gathering);
    found.push(...check(evidence), ...checkFleet(evidence, standingOf(world)));
    if (found.length > 0) return;
    tell(round, 'drill');
    recoveries.push(await drill(at));
    if (!(await rest())) return;
    const resting = readResting(world, evidence.commands.length);
    if (resting !== undefined) restings.push(resting);
    found.push(...checkGrowth(restings));
  }

  async function storm(steps: readonly Step[], perform: (step: Step) => void): Promise<void> {
    const startedMs = performance.now();
    const wait = (atMs: number): Promise<void> =>
      pause(Math.max(0, startedMs + atMs - performance.now()), undefined, { signal: ended });
    for (const step of steps) {
      await wait(step.atMs);
      perform(step);
    }
    await wait(STORM_MS);
  }

  try {
    tell(0, 'start');
    if (await rest()) {
      for (const [index, steps] of plan.entries()) {
        await playRound(steps, index + 1);
        if (found.length > 0) break;
      }
    }
    tell(plan.length, 'end');
    if (found.length === 0) {
      const last = await endInOrder({ world, gathering, check });
      evidence = last.evidence;
      found.push(...last.violations);
    }
  } catch (error) {
    faults.repair();
    if (!signal.aborted)
      found.push(
        ...violations('the run comes to its end', [
          error instanceof Error ? (error.stack ?? '') : String(error),
        ]),
      );
    else await endInOrder({ world, gathering, check }).catch(() => undefined);
  } finally {
    giveUp.abort();
    sampler.stop();
  }
  const figures = toFigures({
    evidence,
    caller,
    faults,
    world,
    recoveries,
    restings,
    sightings: sampler.sightings,
    connects: controller.read().connects,
  });
  return { figures, violations: found, done };
}

/** What must hold at every rest. */
function check(evidence: Evidence): Violation[] {
  return [
    ...checkCommands(evidence),
    ...checkEvents(evidence, Date.now()),
    ...checkJobs(evidence),
    ...checkDrains(evidence),
    ...checkProcesses(evidence),
  ];
}
