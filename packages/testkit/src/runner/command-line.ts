/** Arguments of `Runner.Listener`: `--name value`, flags, and the environment (actions/runner src/Runner.Listener/CommandSettings.cs). */

const VALUE_OPTIONS = [
  'url',
  'token',
  'name',
  'labels',
  'runnergroup',
  'work',
  'jitconfig',
  'startuptype',
] as const;
const FLAGS = [
  'ephemeral',
  'unattended',
  'replace',
  'disableupdate',
  'no-default-labels',
  'local',
  'once',
  'version',
  'commit',
  'help',
] as const;

const ENVIRONMENT_PREFIX = 'ACTIONS_RUNNER_INPUT_';

export type ValueOption = (typeof VALUE_OPTIONS)[number];
export type Flag = (typeof FLAGS)[number];

export interface CommandLine {
  /** `configure`, `remove`, `run`, `warmup`; undefined if none was given. */
  readonly command: string | undefined;
  value(option: ValueOption): string | undefined;
  flag(flag: Flag): boolean;
  /** What nobody knows: reported, and otherwise without effect. */
  readonly unknown: readonly string[];
}

/**
 * Reads arguments and `ACTIONS_RUNNER_INPUT_<NAME>`; arguments win. The variables are removed from `env`, so that
 * neither the worker nor its steps inherit a secret.
 */
export function readCommandLine(args: readonly string[], env: NodeJS.ProcessEnv): CommandLine {
  const values = new Map<string, string>();
  const flags = new Set<string>();
  const unknown: string[] = [];
  let command: string | undefined;

  for (let index = 0; index < args.length; index += 1) {
    const argument = args[index] ?? '';
    const name = argument.startsWith('--') ? argument.slice(2).toLowerCase() : undefined;
    if (name === undefined) {
      if (index === 0) command = argument;
      else unknown.push(argument);
    } else if (isOneOf(FLAGS, name)) {
      flags.add(name);
    } else if (isOneOf(VALUE_OPTIONS, name)) {
      index += 1;
      values.set(name, args[index] ?? '');
    } else {
      unknown.push(argument);
    }
  }

  for (const [key, text] of Object.entries(env)) {
    if (!key.toUpperCase().startsWith(ENVIRONMENT_PREFIX)) continue;
    delete env[key];
    const name = key.slice(ENVIRONMENT_PREFIX.length).toLowerCase();
    if (text === undefined || text === '') continue;
    const flag = FLAGS.find((candidate) => candidate.replaceAll('-', '') === name.replaceAll(/[-_]/g, ''));
    if (flag !== undefined && /^(true|1)$/i.test(text)) flags.add(flag);
    else if (isOneOf(VALUE_OPTIONS, name) && !values.has(name)) values.set(name, text);
  }

  return {
    command,
    value: (option) => values.get(option),
    flag: (flag) => flags.has(flag),
    unknown,
  };
}

const isOneOf = <T extends string>(list: readonly T[], text: string): text is T => list.includes(text as T);
