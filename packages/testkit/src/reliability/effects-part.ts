/**
 * The real MIGlet, killed 200 times, most of them between the effect of a command and its acknowledgement: several VMs at a
 * time, each with a runner that writes down what is done to it.
 */
import type { CommandResource } from '@mig/common/api/command-resource';
import { isFinal } from '@mig/common/domain/command-state';
import { createSeededRandom } from '../system/seeded-random.js';
import { readDeeds } from './deed-runner.js';
import { BETWEEN_EFFECT_AND_ACK, runLane, type LaneRecord } from './effects-lane.js';
import type { Ground } from './ground.js';
import type { ReliabilityOptions } from './options.js';
import { verdict, type Part, type PartResult } from './part.js';

const LANES = 6;
/** A kill, with what follows from it, takes no longer than this on a slow machine. */
const KILL_BOUND_MS = 2_500;

export const effectsPart: Part = {
  name: 'effects',
  title: 'a MIGlet killed between the effect of a command and its acknowledgement',
  boundMs: ({ kills }) => 120_000 + kills * KILL_BOUND_MS,
  run,
};

async function run(ground: Ground, options: ReliabilityOptions): Promise<PartResult> {
  const control = await ground.startControl({
    // The effect that is looked at is that of config.sh.
    env: { CONTROLLER_GITHUB_REGISTRATION: 'token' },
  });
  let kills = 0;
  let between = 0;
  const startedAt = performance.now();
  let saidAt = startedAt;
  const records = await Promise.all(
    Array.from({ length: Math.min(LANES, options.kills) }, (_, lane) =>
      runLane(
        ground,
        control,
        {
          vmId: `vm-${lane + 1}`,
          random: createSeededRandom(Math.floor(ground.random() * 2 ** 32)),
          enough: () => between >= options.kills,
        },
        (point) => {
          kills += 1;
          if (BETWEEN_EFFECT_AND_ACK.includes(point)) between += 1;
          if (performance.now() - saidAt < 10_000) return;
          saidAt = performance.now();
          ground.say(`${kills} kills`);
        },
      ),
    ),
  );
  const byPoint = new Map<string, number>();
  for (const record of records)
    for (const [point, count] of record.kills) byPoint.set(point, (byPoint.get(point) ?? 0) + count);
  const all = await control.api.commands();
  const boots = new Map<string, number>();
  for (const { vm } of records) {
    const events = await control.api.events(vm.vmId);
    boots.set(
      vm.vmId,
      new Set(events.filter((event) => event.via !== 'controller').map((event) => event.boot_id)).size,
    );
  }
  const judged = records.map((record) =>
    judgeLane(
      record,
      all.filter((command) => command.vm_id === record.vm.vmId),
      boots.get(record.vm.vmId) ?? 0,
    ),
  );
  return {
    figures: [
      { name: 'kills of a MIGlet', value: kills },
      { name: 'of them between an effect and its acknowledgement', value: between },
      ...[...byPoint].sort().map(([point, count]) => ({ name: `  at ${point}`, value: count })),
      { name: 'commands', value: all.length },
      { name: 'completed', value: all.filter((command) => command.state === 'completed').length },
      {
        name: 'failed as interrupted, and said so',
        value: all.filter((command) => command.state === 'failed').length,
      },
      { name: 'second effects', value: judged.reduce((sum, lane) => sum + lane.twice.length, 0) },
    ],
    verdicts: [
      verdict(
        'no command took effect twice',
        judged.flatMap((lane) => lane.twice),
      ),
      verdict(
        'every command has ended, and its result is the VM’s',
        judged.flatMap((lane) => lane.results),
      ),
      verdict('no process ended by itself', [
        ...records.flatMap((record) => record.faults),
        ...control.crashes,
      ]),
    ],
  };
}

/** @param boots lives of the VM that the controller has heard of */
function judgeLane(
  { vm, runnerDirectory, accepted, shutdowns }: LaneRecord,
  commands: readonly CommandResource[],
  boots: number,
): { readonly twice: readonly string[]; readonly results: readonly string[] } {
  const twice: string[] = [];
  const results: string[] = [];
  const journal = vm.journal();
  const count = (kind: string, id: string): number =>
    journal.filter((line) => line.kind === kind && line.id === id).length;
  const taken = new Map<string, number>();
  for (const entry of vm.log) {
    const id = entry['commandId'];
    if (typeof id === 'string' && entry['msg'] === 'a command was taken')
      taken.set(id, (taken.get(id) ?? 0) + 1);
  }
  const known = new Map(commands.map((command) => [command.id, command]));
  for (const { id } of accepted)
    if (!known.has(id)) results.push(`${vm.vmId}: ${id} was accepted, and is not known`);
  for (const command of commands) {
    const name = `${vm.vmId}: ${command.type} ${command.id}`;
    if (count('taken', command.id) > 1 || (taken.get(command.id) ?? 0) > 1)
      twice.push(`${name} was begun twice`);
    if (count('finished', command.id) > 1) twice.push(`${name} ended twice`);
    if (!isFinal(command.state)) results.push(`${name} is still ${command.state}`);
    const said = journal.find((line) => line.kind === 'finished' && line.id === command.id)?.outcome;
    const isSame =
      said !== undefined &&
      said.success === (command.state === 'completed') &&
      said.message === (command.message ?? '');
    if (!isSame)
      results.push(
        `${name} is ${command.state} ("${command.message ?? ''}"), its VM says ${JSON.stringify(said)}`,
      );
  }
  const configured = readDeeds(runnerDirectory).filter((deed) => deed.startsWith('configured '));
  const named = new Set<string>();
  for (const deed of configured.filter((each) => each.includes('-order-'))) {
    if (named.has(deed)) twice.push(`${vm.vmId}: config.sh ran twice for one command: ${deed}`);
    named.add(deed);
  }
  const registrations = commands.filter((command) => command.type === 'register_runner').length;
  if (configured.length > registrations)
    twice.push(`${vm.vmId}: config.sh ran ${configured.length} times for ${registrations} registrations`);
  if (boots !== shutdowns + 1)
    twice.push(`${vm.vmId}: ${boots} boots for ${shutdowns} shutdowns: one shutdown ended more than its own`);
  return { twice, results };
}
