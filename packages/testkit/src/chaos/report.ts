/** What a run says: its progress, its numbers, and what was broken, with how to see it again. */
import type { ChaosProgress, ChaosResult } from './chaos.js';
import type { ChaosOptions } from './options.js';
import { describeStep } from './steps.js';

/** The last steps that are shown when something was broken. */
const SHOWN_STEPS = 30;

export function describeProgress({ round, rounds, phase, caller, faults, sampler }: ChaosProgress): string {
  const accepted = caller.commands.filter((told) => told.accepted.length > 0).length;
  const broken = Object.values(faults.counts).reduce((sum, count) => sum + count, 0);
  const connected = sampler.connected === undefined ? 'no answer' : `${sampler.connected} connected`;
  return [
    `round ${round}/${rounds} ${phase.padEnd(5)}`,
    `commands ${accepted}/${caller.commands.length}`,
    `jobs ${caller.jobs.length}`,
    `drains ${caller.drains.length}`,
    `faults ${broken}`,
    connected,
  ].join('  ');
}

const LABELS: Readonly<Record<string, string>> = {
  commandsSubmitted: 'commands submitted',
  commandsAccepted: 'commands accepted (202)',
  commandsLost: 'commands lost',
  commandsRunTwice: 'commands run twice',
  commandsCompleted: 'commands completed',
  commandsFailed: 'commands failed, with the VM’s own reason',
  commandsExpired: 'commands expired',
  commandsCancelled: 'commands cancelled',
  commandsSuperseded: 'commands superseded',
  commandsSentMoreThanOnce: 'commands sent more than once',
  eventsLogged: 'events that VMs logged',
  eventsStored: 'events stored',
  jobsRun: 'jobs run',
  jobsEndedByForceOrDeadline: 'jobs ended by force or a deadline',
  registrationsLeftBehind: 'registrations that nobody was there to delete',
  drainsAccepted: 'drains accepted',
  drainsEnded: 'drains ended',
  controllerKills: 'kills of the controller',
  migletKills: 'kills of MIGlets',
  freezes: 'freezes (SIGSTOP)',
  testPoints: 'ends at a named point, planned',
  linkFaults: 'faults of the network',
  githubFaults: 'faults of GitHub',
  fullDisks: 'full disks',
  clockJumps: 'jumps of a clock',
  recoveries: 'drills (kill -9 of the controller at rest)',
  recoveryP50Ms: 'until every VM was commanded again, p50',
  recoveryMaxMs: 'until every VM was commanded again, max',
  peakConnectsPerSecond: 'connects per second, peak',
  controllerRestingFirstBytes: 'memory of the controller at rest, first round',
  controllerRestingLastBytes: 'memory of the controller at rest, last round',
  controllerPeakBytes: 'memory of the controller, peak',
  controllerOpenFilesFirst: 'open files of the controller at rest, first round',
  controllerOpenFilesLast: 'open files of the controller at rest, last round',
  looks: 'times that all was looked at',
};

export interface Report {
  readonly options: ChaosOptions;
  readonly result: ChaosResult;
  /** What could not be done here, and why. */
  readonly left: readonly string[];
  /** Where the data is; undefined if it was removed. */
  readonly kept: string | undefined;
}

export const toJson = ({ options, result, left, kept }: Report): string =>
  JSON.stringify(
    {
      seed: options.seed,
      minutes: options.minutes,
      vms: options.vmCount,
      simulated: options.simulatedCount,
      held: result.violations.length === 0,
      figures: result.figures,
      violations: result.violations,
      left_out: left,
      ...(kept === undefined ? {} : { kept }),
    },
    null,
    2,
  );

export function toText({ options, result, left, kept }: Report): string {
  const lines = Object.entries(result.figures).map(
    ([name, value]) => `  ${(LABELS[name] ?? name).padEnd(52)} ${format(name, value).padStart(10)}`,
  );
  for (const what of left) lines.push(`  left out: ${what}`);
  lines.push('');
  if (result.violations.length === 0) lines.push('Every promise held.');
  else lines.push(...describeFailure(options, result));
  if (kept !== undefined) lines.push(`Everything is kept in ${kept}`);
  return `${lines.join('\n')}\n`;
}

function describeFailure(options: ChaosOptions, { violations, done }: ChaosResult): string[] {
  const again = `npm run chaos -- --seed ${options.seed} --minutes ${options.minutes} --vms ${options.vmCount} --simulated ${options.simulatedCount}`;
  return [
    `Broken, with seed ${options.seed}:`,
    ...violations.flatMap(({ invariant, evidence }) => [
      `  ${invariant}`,
      ...evidence.map((fact) => `    ${fact}`),
    ]),
    '',
    `The last ${Math.min(SHOWN_STEPS, done.length)} of ${done.length} steps:`,
    ...done.slice(-SHOWN_STEPS).map((step) => `  ${describeStep(step)}`),
    '',
    `To do the same again: ${again}`,
  ];
}

function format(name: string, value: number | null): string {
  if (value === null) return '-';
  if (name.endsWith('Ms')) return `${(value / 1_000).toFixed(1)} s`;
  if (name.endsWith('Bytes')) return `${Math.round(value / 2 ** 20)} MiB`;
  return String(value);
}
