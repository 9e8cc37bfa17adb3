/**
 * Parameters of a command on the wire: split by type into three maps and one unnamed list, which is `labels`.
 *
 * A name that comes in two maps keeps the more specific one (bool over int over string); a MIGlet refuses it anyway if
 * the type is wrong.
 */
import type { Command } from '../gen/commands.js';
import type { Parameters, ParameterValue } from '../domain/command.js';

type WireParameters = Pick<Command, 'stringParams' | 'intParams' | 'boolParams' | 'stringArrayParams'>;

/** The name that the unnamed list of strings has in the domain. */
const LIST_NAME = 'labels';

export function toWireParameters(parameters: Parameters): WireParameters {
  const wire: WireParameters = { stringParams: {}, intParams: {}, boolParams: {}, stringArrayParams: [] };
  for (const [name, value] of Object.entries(parameters)) {
    if (typeof value === 'string') wire.stringParams[name] = value;
    else if (typeof value === 'number') wire.intParams[name] = value;
    else if (typeof value === 'boolean') wire.boolParams[name] = value;
    else wire.stringArrayParams.push(...value);
  }
  return wire;
}

export function fromWireParameters(wire: WireParameters): Parameters {
  const entries: [string, ParameterValue][] = [
    ...Object.entries(wire.stringParams),
    ...Object.entries(wire.intParams),
    ...Object.entries(wire.boolParams),
  ];
  if (wire.stringArrayParams.length > 0) entries.push([LIST_NAME, wire.stringArrayParams]);
  return Object.fromEntries(entries);
}
