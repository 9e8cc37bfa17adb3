/** The numbers of a run. */
import type { Caller } from './caller.js';
import type { Resting } from './checks/growth.js';
import { isLeftBehind } from './checks/fleet.js';
import { killedJobs } from './checks/jobs.js';
import type { Evidence } from './evidence.js';
import type { Faults } from './faults.js';
import type { Sightings } from './sampler.js';
import type { Service } from './service.js';
import type { World } from './world.js';

/** Name and value, in the order in which they are shown. Times end with `Ms`, sizes with `Bytes`. */
export type Figures = Readonly<Record<string, number | null>>;

export interface FiguresDeps {
  /** Undefined if it never came to one. */
  readonly evidence: Evidence | undefined;
  readonly caller: Caller;
  readonly faults: Faults;
  readonly world: World;
  readonly recoveries: readonly number[];
  readonly restings: readonly Resting[];
  readonly sightings: Sightings;
  readonly connects: ReadonlyMap<string, number>;
}

export function toFigures(deps: FiguresDeps): Figures {
  const { evidence, caller, faults, world, recoveries, restings, sightings, connects } = deps;
  const accepted = caller.commands.filter((told) => told.accepted.length > 0);
  const known = new Set(evidence?.commands.map(({ id }) => id));
  const taken = evidence?.histories.flatMap((history) => history.taken) ?? [];
  const asked = new Set(accepted.map((told) => told.accepted[0]?.id));
  const inState = (state: string): number =>
    evidence?.commands.filter((command) => command.state === state && asked.has(command.id)).length ?? 0;
  const logged = evidence?.histories.flatMap(({ lives }) => lives.flatMap(({ events }) => events)) ?? [];
  const stored = [...(evidence?.events.values() ?? [])].flat().filter(({ via }) => via !== 'controller');
  const ended = evidence?.jobs.filter(({ status }) => status === 'completed') ?? [];
  const killed = killedJobs(ended);
  const sorted = [...recoveries].sort((a, b) => a - b);
  return {
    commandsSubmitted: caller.commands.length,
    commandsAccepted: accepted.length,
    commandsLost: evidence ? accepted.filter((told) => !known.has(told.accepted[0]?.id ?? '')).length : null,
    commandsRunTwice: taken.length - new Set(taken).size,
    commandsCompleted: inState('completed'),
    commandsFailed: inState('failed'),
    commandsExpired: inState('expired'),
    commandsCancelled: inState('cancelled'),
    commandsSuperseded: inState('superseded'),
    commandsSentMoreThanOnce: evidence?.commands.filter(({ attempts }) => attempts > 1).length ?? 0,
    eventsLogged: logged.length,
    eventsStored: stored.length,
    jobsRun: ended.length,
    jobsEndedByForceOrDeadline: killed.length,
    registrationsLeftBehind:
      evidence?.runners.filter((runner) => isLeftBehind(runner, evidence.histories)).length ?? 0,
    drainsAccepted: caller.drains.filter((told) => told.accepted.length > 0).length,
    drainsEnded: evidence?.drains.filter((drain) => drain.finished_at !== undefined).length ?? 0,
    controllerKills: killsOf([world.controller]),
    migletKills: killsOf(world.vms.map(({ service }) => service)),
    freezes: faults.counts.freeze,
    testPoints: faults.counts.testPoint,
    linkFaults: faults.counts.link,
    githubFaults: faults.counts.github,
    fullDisks: faults.counts.fillDisk,
    clockJumps: faults.counts.setClock,
    recoveries: recoveries.length,
    recoveryP50Ms: round(sorted[Math.floor((sorted.length - 1) / 2)]),
    recoveryMaxMs: round(sorted.at(-1)),
    peakConnectsPerSecond: Math.max(0, ...connects.values()),
    controllerRestingFirstBytes: restings[0]?.residentBytes ?? null,
    controllerRestingLastBytes: restings.at(-1)?.residentBytes ?? null,
    controllerPeakBytes: sightings.peak.residentBytes,
    controllerOpenFilesFirst: restings[0]?.openFiles ?? null,
    controllerOpenFilesLast: restings.at(-1)?.openFiles ?? null,
    looks: sightings.count,
  };
}

const killsOf = (services: readonly Service[]): number =>
  services.flatMap(({ lives }) => lives).filter(({ signal }) => signal === 'SIGKILL').length;

const round = (value: number | undefined): number | null => (value === undefined ? null : Math.round(value));
