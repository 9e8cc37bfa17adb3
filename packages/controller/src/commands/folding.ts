/**
 * Which command that waits for an offline VM a newer one makes pointless. It is `superseded` then, and says by which.
 *
 * The newer one counts: of two drains, two shutdowns or two log levels the last word. An `undrain` takes the place of a
 * drain that has not gone out, and the other way round. Of two updates of settings, the newer one takes along what only the
 * older one sets, and of two drains it takes along `force` and an earlier deadline, so that nothing is lost. What may have reached the VM is never folded.
 */
import type { CommandType } from '@mig/common/domain/command-types';
import type { CommandRecord, Parameters } from '@mig/common/domain/command';

const FAMILY: Readonly<Record<CommandType, string | undefined>> = {
  register_runner: undefined,
  drain: 'drain',
  undrain: 'drain',
  shutdown: 'shutdown',
  update_config: 'update_config',
  set_log_level: 'set_log_level',
};

/** May a newer command of this type take the place of `older`? */
export const folds = (type: CommandType, older: CommandRecord): boolean =>
  older.state === 'queued' &&
  older.attempts === 0 &&
  FAMILY[type] !== undefined &&
  FAMILY[type] === FAMILY[older.type];

/** The parameters of a newer command, with what it takes along from those that it folds, oldest first. */
export function foldedParameters(
  type: CommandType,
  parameters: Parameters,
  folded: readonly CommandRecord[],
): Parameters {
  if (folded.length === 0) return parameters;
  if (type === 'drain')
    return foldedDrain(
      parameters,
      folded.filter((command) => command.type === 'drain'),
    );
  if (type !== 'update_config') return parameters;
  return Object.assign({}, ...folded.map((command) => command.parameters), parameters) as Parameters;
}

/** As on a VM that gets both: `force` of any, and the earliest deadline. */
function foldedDrain(parameters: Parameters, folded: readonly CommandRecord[]): Parameters {
  const all = [...folded.map((command) => command.parameters), parameters];
  const deadlines = all.map(({ deadline_ms: ms }) => ms).filter((ms) => typeof ms === 'number' && ms > 0);
  return {
    ...parameters,
    ...(deadlines.length > 0 ? { deadline_ms: Math.min(...(deadlines as number[])) } : {}),
    ...(all.some(({ force }) => force === true) ? { force: true } : {}),
  };
}
