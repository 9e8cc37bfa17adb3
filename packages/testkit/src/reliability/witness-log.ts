/** What the witness of one VM wrote down, put in order: which command began when, what it did, which events there were. */
import type { WitnessedFact } from '../fleet/witness.js';
import { readJsonLines } from '../system/json-lines.js';

export interface WitnessedCommand {
  readonly id: string;
  readonly type: string;
  /** Place in the order in which the VM took its commands. */
  readonly place: number;
  /** How often it was begun. */
  taken: number;
  /** How often its effect was seen, by process of the MIGlet. */
  readonly effects: Map<number, number>;
  /** Its effect was seen after its result was in the journal. */
  effectAfterEnd: boolean;
  ended: { readonly success: boolean; readonly message: string } | undefined;
}

export interface WitnessLog {
  readonly vmId: string;
  readonly commands: ReadonlyMap<string, WitnessedCommand>;
  /** `boot sequence` of every event that was in the journal, with its type. */
  readonly events: ReadonlyMap<string, string>;
  /** Processes of the MIGlet. */
  readonly processCount: number;
  readonly facts: readonly WitnessedFact[];
}

export const eventKey = (bootId: string, sequence: number): string => `${bootId} ${sequence}`;

/** Commands that do what they do in the moment in which they are begun. */
const isInstant = (type: string): boolean => type === 'set_log_level' || type === 'update_config';

export function readWitnessLog(vmId: string, file: string): WitnessLog {
  const facts = readJsonLines<WitnessedFact>(file);
  const commands = new Map<string, WitnessedCommand>();
  const events = new Map<string, string>();
  let bootId = '';
  let processCount = 0;
  /** Taken, and not ended: whose effect is seen now. */
  let current: WitnessedCommand | undefined;
  /** Effects that were seen with no command under way: of one that is begun again, which is named when it ends. */
  let unowned = 0;

  function enter(id: string, type: string, taken: number): WitnessedCommand {
    const known = commands.get(id);
    if (known !== undefined) {
      known.taken += taken;
      return known;
    }
    const command = {
      id,
      type,
      place: commands.size,
      taken,
      effects: new Map<number, number>(),
      effectAfterEnd: false,
      ended: undefined,
    };
    commands.set(id, command);
    return command;
  }

  function addEffects(command: WitnessedCommand, count: number): void {
    if (count === 0) return;
    command.effects.set(processCount, (command.effects.get(processCount) ?? 0) + count);
    if (command.ended !== undefined) command.effectAfterEnd = true;
  }

  for (const fact of facts) {
    switch (fact.kind) {
      case 'started':
        bootId = fact.bootId;
        processCount += 1;
        current = undefined;
        unowned = 0;
        for (const event of fact.events) events.set(eventKey(bootId, event.sequence), event.type);
        // Journaled by a process that was killed before it was written down.
        for (const { id, type, outcome } of fact.commands) {
          const command = commands.get(id) ?? enter(id, type, 1);
          command.ended ??= outcome;
        }
        break;
      case 'taken':
        current = enter(fact.id, fact.type, 1);
        break;
      case 'ended': {
        const command = enter(fact.id, '', 0);
        if (isInstant(command.type)) addEffects(command, unowned);
        unowned = 0;
        command.ended ??= { success: fact.success, message: fact.message };
        if (current === command) current = undefined;
        break;
      }
      case 'logLevel':
        if (current !== undefined && isInstant(current.type)) addEffects(current, 1);
        else unowned += 1;
        break;
      case 'configured':
        addEffects(enter(fact.commandId, 'register_runner', 0), 1);
        break;
      case 'event':
        events.set(eventKey(bootId, fact.sequence), fact.type);
        break;
      case 'state':
      case 'drained':
      case 'bootEnded':
      case 'runner':
      case 'jobStarted':
      case 'jobEnded':
    }
  }
  return { vmId, commands, events, processCount, facts };
}
