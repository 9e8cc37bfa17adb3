/**
 * Was each command that a caller was told is accepted carried out once, in its turn, and is its result recorded? Or does its
 * record say why it was not?
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { CommandResource } from '@mig/common/api/command-resource';
import { isFinal } from '@mig/common/domain/command-state';
import type { Accepted } from './commands-workload.js';
import { verdict, type Figure, type Verdict } from './part.js';
import type { WitnessLog, WitnessedCommand } from './witness-log.js';

export interface CommandsEvidence {
  readonly accepted: readonly Accepted[];
  /** What the API says in the end, of every command, also those of the controller itself. */
  readonly records: readonly CommandResource[];
  readonly logs: readonly WitnessLog[];
  /** Of a controller that has ended in order. */
  readonly dataDirectory: string;
}

export function judgeCommands(evidence: CommandsEvidence): {
  readonly figures: readonly Figure[];
  readonly verdicts: readonly Verdict[];
} {
  const { accepted, records, logs } = evidence;
  const byId = new Map(records.map((record) => [record.id, record]));
  const logOf = new Map(logs.map((log) => [log.vmId, log]));
  const seen = (record: CommandResource): WitnessedCommand | undefined =>
    logOf.get(record.vm_id)?.commands.get(record.id);

  const lost = accepted
    .filter(({ command }) => !byId.has(command.id))
    .map(({ command }) => `${name(command)} was accepted, and the controller does not know it`);
  const asked = new Set(accepted.map(({ command }) => command.id));
  const twiceAccepted = records
    .filter((record) => record.created_by === 'operator' && !asked.has(record.id))
    .map((record) => `${name(record)} was queued, and no caller was told so: an order was queued twice`);
  const notEnded = records
    .filter((record) => !isFinal(record.state))
    .map((record) => `${name(record)} is still ${record.state}`);
  const twice = records.flatMap((record) => faultsOfTwice(record, seen(record)));
  const unsaid = records.flatMap((record) => faultsOfResult(record, seen(record)));
  const disordered = faultsOfOrder(accepted, logOf);
  const files = records.flatMap((record) => faultsOfFile(record, evidence.dataDirectory));

  const ofCallers = records.filter((record) => asked.has(record.id));
  const count = (state: string): number => ofCallers.filter((record) => record.state === state).length;
  const again = records.filter((record) => (seen(record)?.effects.size ?? 0) > 1).length;
  return {
    figures: [
      { name: 'commands accepted', value: accepted.length },
      { name: 'completed', value: count('completed') },
      { name: 'failed, and the record says why', value: count('failed') },
      { name: 'superseded by a newer one before they went out', value: count('superseded') },
      { name: 'expired or cancelled', value: count('expired') + count('cancelled') },
      { name: 'sent more than once', value: records.filter((record) => record.attempts > 1).length },
      { name: 'begun, cut short by a kill, and finished by the next process', value: again },
      { name: 'commands lost', value: lost.length + notEnded.length },
      { name: 'commands run twice', value: twice.length + twiceAccepted.length },
    ],
    verdicts: [
      verdict('every command that was accepted is known in the end', lost),
      verdict('every command has ended', notEnded),
      verdict('no order was queued twice', twiceAccepted),
      verdict('no command took effect twice', twice),
      verdict('every result is recorded as the VM gave it', unsaid),
      verdict('commands of a VM began in the order of their submission', disordered),
      verdict('the files of the commands say the same as the API', files),
    ],
  };
}

const name = (command: CommandResource): string => `${command.vm_id}: ${command.type} ${command.id}`;

function faultsOfTwice(record: CommandResource, seen: WitnessedCommand | undefined): string[] {
  if (seen === undefined) return [];
  const faults: string[] = [];
  if (seen.taken > 1) faults.push(`${name(record)} was begun ${seen.taken} times`);
  for (const [process, count] of seen.effects)
    if (count > 1)
      faults.push(`${name(record)} took effect ${count} times in process ${process} of its MIGlet`);
  if (seen.effectAfterEnd) faults.push(`${name(record)} took effect again after it had ended`);
  // Of a registration the effect outlives the process: it must not be begun again (config.sh).
  if (record.type === 'register_runner' && seen.effects.size > 1)
    faults.push(`${name(record)} was registered by ${seen.effects.size} processes`);
  return faults;
}

/** The record and the VM must say the same; a command that did not run must say why. */
function faultsOfResult(record: CommandResource, seen: WitnessedCommand | undefined): string[] {
  const fault = (what: string): string[] => [`${name(record)} is ${record.state}${what}`];
  switch (record.state) {
    case 'completed':
      if (seen?.ended === undefined) return fault(', and its VM never finished it');
      if (!seen.ended.success || seen.ended.message !== (record.message ?? ''))
        return fault(` ("${record.message ?? ''}"), and its VM said "${seen.ended.message}"`);
      return [];
    case 'failed':
      if (record.message === undefined) return fault(' without a reason');
      if (seen?.ended !== undefined && (seen.ended.success || seen.ended.message !== record.message))
        return fault(` ("${record.message}"), and its VM said "${seen.ended.message}"`);
      return [];
    case 'expired':
    case 'cancelled':
    case 'superseded':
      if (record.message === undefined) return fault(' without a reason');
      return seen === undefined ? [] : fault(', and its VM took it');
    case 'queued':
    case 'sent':
    case 'received':
      return [];
  }
}

function faultsOfOrder(accepted: readonly Accepted[], logOf: ReadonlyMap<string, WitnessLog>): string[] {
  const faults: string[] = [];
  const last = new Map<string, { readonly place: number; readonly id: string }>();
  for (const { vmId, command } of accepted) {
    const seen = logOf.get(vmId)?.commands.get(command.id);
    if (seen === undefined) continue;
    const before = last.get(vmId);
    if (before !== undefined && before.place > seen.place)
      faults.push(`${name(command)} began before ${before.id}, which was accepted earlier`);
    else last.set(vmId, { place: seen.place, id: command.id });
  }
  return faults;
}

function faultsOfFile(record: CommandResource, dataDirectory: string): string[] {
  const file = path.join(dataDirectory, record.vm_id, 'commands', `${record.id}.json`);
  try {
    const stored = JSON.parse(readFileSync(file, 'utf8')) as CommandResource;
    return stored.state === record.state && stored.message === record.message
      ? []
      : [`${name(record)} is ${record.state} by the API, and ${stored.state} in ${file}`];
  } catch (error) {
    return [`${name(record)} has no file that can be read: ${String(error)}`];
  }
}
