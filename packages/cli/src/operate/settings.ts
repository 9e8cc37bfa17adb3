/** Reads the words of `set-log-level` and `update-config`, in which names of VMs and values stand side by side. */
import { formatDuration, parseDuration } from '@mig/common/config/duration';
import type { Parameters, ParameterValue } from '@mig/common/domain/command';
import { COMMAND_SPECS, type ParameterSpec } from '@mig/common/domain/command-types';
import { LOG_LEVELS } from '@mig/common/domain/log-level';
import { UsageError } from '../errors.js';
import { didYouMean } from '../suggest.js';

/** The last word is the level. @throws UsageError if it is none */
export function splitLevel(words: readonly string[]): { readonly names: string[]; readonly level: string } {
  const level = words.at(-1) ?? '';
  if (!(LOG_LEVELS as readonly string[]).includes(level)) {
    throw new UsageError(
      `${JSON.stringify(level)} is not a log level${didYouMean(level, LOG_LEVELS)}`,
      `the last word is one of ${LOG_LEVELS.join(', ')}`,
    );
  }
  return { names: words.slice(0, -1), level };
}

const SPECS = COMMAND_SPECS.update_config.parameters;
const MS_SUFFIX = '_ms';
/** The human forms: `heartbeat_interval` for `heartbeat_interval_ms`. */
const DURATION_KEYS = Object.keys(SPECS)
  .filter((key) => key.endsWith(MS_SUFFIX))
  .map((key) => key.slice(0, -MS_SUFFIX.length));
/** All keys that `update-config` takes, the human forms first. */
export const SETTING_KEYS: readonly string[] = [...DURATION_KEYS, ...Object.keys(SPECS)];

/** A word with `=` in it is a setting, any other the name of a VM. @throws UsageError naming the key and the value */
export function splitSettings(words: readonly string[]): {
  readonly names: string[];
  readonly parameters: Parameters;
} {
  const parameters = new Map<string, ParameterValue>();
  for (const word of words.filter((one) => one.includes('='))) {
    const at = word.indexOf('=');
    const [name, value] = parseSetting(word.slice(0, at), word.slice(at + 1));
    if (parameters.has(name)) throw new UsageError(`setting ${name} is given twice`);
    parameters.set(name, value);
  }
  if (parameters.size === 0) {
    throw new UsageError('no setting is given', `write KEY=VALUE; the keys are ${SETTING_KEYS.join(', ')}`);
  }
  return { names: words.filter((one) => !one.includes('=')), parameters: Object.fromEntries(parameters) };
}

function parseSetting(key: string, value: string): [string, ParameterValue] {
  if (DURATION_KEYS.includes(key)) {
    const durationMs = parseDuration(value);
    if (durationMs === undefined) {
      throw new UsageError(
        `setting ${key}: ${JSON.stringify(value)} is not a duration`,
        'write 500ms, 30s, 5m or 1h30m',
      );
    }
    assertBounds(key, durationMs, SPECS[key + MS_SUFFIX], formatDuration);
    return [key + MS_SUFFIX, durationMs];
  }
  const spec = Object.hasOwn(SPECS, key) ? SPECS[key] : undefined;
  if (spec === undefined) {
    throw new UsageError(
      `setting ${JSON.stringify(key)} is unknown${didYouMean(key, SETTING_KEYS)}`,
      `the keys are ${SETTING_KEYS.join(', ')}`,
    );
  }
  switch (spec.kind) {
    case 'string':
      return [key, value];
    case 'strings':
      return [key, value.split(',')];
    case 'bool':
      if (value !== 'true' && value !== 'false') throw new UsageError(`setting ${key}: write true or false`);
      return [key, value === 'true'];
    case 'int':
      if (!/^\d{1,15}$/.test(value)) {
        const human = key.endsWith(MS_SUFFIX) ? `, or ${key.slice(0, -MS_SUFFIX.length)}=30s` : '';
        throw new UsageError(
          `setting ${key}: ${JSON.stringify(value)} is not a whole number`,
          `write ${key}=30000${human}`,
        );
      }
      assertBounds(key, Number(value), spec, String);
      return [key, Number(value)];
  }
}

/** @throws UsageError naming the key as it was typed */
function assertBounds(
  key: string,
  value: number,
  spec: ParameterSpec | undefined,
  write: (value: number) => string,
): void {
  const { min, max } = spec ?? {};
  const bounds = `${key} is from ${write(min ?? 0)} to ${write(max ?? Number.MAX_SAFE_INTEGER)}`;
  if (min !== undefined && value < min)
    throw new UsageError(`setting ${key}: ${write(value)} is less than ${write(min)}`, bounds);
  if (max !== undefined && value > max)
    throw new UsageError(`setting ${key}: ${write(value)} is more than ${write(max)}`, bounds);
}
