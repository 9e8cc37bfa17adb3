/** What can follow the words typed so far: the answer to the scripts of `migctl completion`. */
import type { Command, Option } from 'commander';
import { VM_PHASES } from '@mig/common/domain/vm-state';
import { LOG_LEVELS } from '@mig/common/domain/log-level';
import { SETTING_KEYS } from '../operate/settings.js';
import type { Io } from '../io.js';
import { fetchDrainIds, fetchOpenCommandIds, fetchVmNames, fetchWorkflowJobIds } from './names.js';

interface Candidate {
  readonly value: string;
  readonly help?: string;
}

/** Directives of the scripts, those of cobra: no files; and no space after the word. */
const NO_FILES = 4;
const NO_SPACE = 2;

/**
 * Prints one candidate per line, `value TAB description`, and a directive as the last line.
 *
 * @param words without `migctl`; the last is the one that is being typed, and may be empty
 */
export async function complete(program: Command, words: readonly string[], io: Io): Promise<void> {
  const typed = words.at(-1) ?? '';
  const place = walk(program, words.slice(0, -1));
  const candidates = await candidatesAt(place, typed, io);
  const prefix = typed.startsWith('--') && typed.includes('=') ? typed.slice(typed.indexOf('=') + 1) : typed;
  const fitting = candidates.filter(
    ({ value }) => value.startsWith(prefix) && !place.operands.includes(value),
  );
  const noSpace = fitting.length > 0 && fitting.every(({ value }) => value.endsWith('='));
  const lines = fitting.map(({ value, help }) => `${value}\t${help ?? ''}\n`);
  io.stdout.write(`${lines.join('')}:${NO_FILES | (noSpace ? NO_SPACE : 0)}\n`);
}

/** Where in the tree the cursor is. */
interface Place {
  readonly command: Command;
  /** Words before it that are no flags and no commands. */
  readonly operands: readonly string[];
  /** The flag whose value is being typed. */
  readonly pendingOption: Option | undefined;
  /** Value of `--server`, if it was given. */
  readonly server: string | undefined;
}

function walk(program: Command, words: readonly string[]): Place {
  let command = program;
  let pendingOption: Option | undefined;
  let server: string | undefined;
  const operands: string[] = [];
  for (const word of words) {
    if (pendingOption !== undefined) {
      if (pendingOption.long === '--server') server = word;
      pendingOption = undefined;
    } else if (word.startsWith('-')) {
      const [flag = '', value] = word.split(/=(.*)/s, 2);
      const option = optionsOf(command).find(({ long, short }) => flag === long || flag === short);
      if (option?.long === '--server') server = value;
      if (option?.required === true && value === undefined) pendingOption = option;
    } else {
      const child = operands.length === 0 ? childOf(command, word) : undefined;
      if (child === undefined) operands.push(word);
      else command = child;
    }
  }
  return { command, operands, pendingOption, server };
}

const childOf = (command: Command, name: string): Command | undefined =>
  command.commands.find((child) => child.name() === name || child.aliases().includes(name));

/** The flags of a command and of those above it. */
function optionsOf(command: Command): readonly Option[] {
  return command.parent === null ? command.options : [...command.options, ...optionsOf(command.parent)];
}

async function candidatesAt(place: Place, typed: string, io: Io): Promise<readonly Candidate[]> {
  const { command, pendingOption } = place;
  if (pendingOption !== undefined) return optionValues(pendingOption, place, io);
  if (typed.startsWith('--') && typed.includes('=')) {
    const option = optionsOf(command).find(({ long }) => long === typed.slice(0, typed.indexOf('=')));
    return option === undefined ? [] : optionValues(option, place, io);
  }
  if (typed.startsWith('-')) {
    return optionsOf(command).flatMap(({ long, description }) =>
      long == null ? [] : [{ value: long, help: description }],
    );
  }
  if (command.commands.length > 0) {
    if (place.operands.length > 0) return [];
    return command.commands.map((child) => ({
      value: child.name(),
      help: child.summary() || child.description(),
    }));
  }
  return argumentValues(place, typed, io);
}

const toCandidates = (values: readonly string[]): Candidate[] => values.map((value) => ({ value }));

async function optionValues(option: Option, place: Place, io: Io): Promise<readonly Candidate[]> {
  if (option.argChoices !== undefined) return toCandidates(option.argChoices);
  if (option.long === '--pool') return toCandidates((await fetchVmNames(io, place.server)).pools);
  if (option.long === '--vm') return toCandidates((await fetchVmNames(io, place.server)).vms);
  // Of the options without choices, only that of `get vms`.
  if (option.long === '--state') return toCandidates(VM_PHASES);
  if (option.long === '--deadline') return toCandidates(['none', '30m', '1h']);
  return [];
}

async function argumentValues(place: Place, typed: string, io: Io): Promise<readonly Candidate[]> {
  const args = place.command.registeredArguments;
  const argument = args[place.operands.length] ?? (args.at(-1)?.variadic === true ? args.at(-1) : undefined);
  if (argument === undefined) return [];
  if (argument.argChoices !== undefined) return toCandidates(argument.argChoices);
  const names = () => fetchVmNames(io, place.server);
  switch (argument.name()) {
    case 'vm':
      return toCandidates((await names()).vms);
    case 'command-id':
      return toCandidates(await fetchOpenCommandIds(io, place.server));
    case 'workflow-job-id':
      return toCandidates(await fetchWorkflowJobIds(io, place.server));
    case 'drain-id':
      return toCandidates(await fetchDrainIds(io, place.server, undefined));
    case 'drain-or-vm': {
      const [drains, { vms }] = await Promise.all([fetchDrainIds(io, place.server, 'active'), names()]);
      return toCandidates([...drains, ...vms]);
    }
    case 'vm-or-level':
      return [
        ...toCandidates((await names()).vms),
        ...(place.operands.length > 0 ? toCandidates(LOG_LEVELS) : []),
      ];
    case 'vm-or-setting':
      if (typed.startsWith('log_level='))
        return toCandidates(LOG_LEVELS.map((level) => `log_level=${level}`));
      return [...toCandidates((await names()).vms), ...toCandidates(SETTING_KEYS.map((key) => `${key}=`))];
    default:
      return [];
  }
}
